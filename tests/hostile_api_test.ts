import * as analysis from "../model/analysis.ts";
import * as api from "../mod.ts";
import { device } from "./harness.ts";
import { type Hostile, testHostile } from "./hostile_values.ts";
import { NANO } from "./nano.ts";

const bits: api.ImageBits = {
  width: 32,
  height: 32,
  d: 32,
  latent: [4, 4],
  schedule: [[1, 1], [2, 2], [3, 3], [4, 4]],
  scales: [1, 4, 9, 16].map((n) => new Uint8Array(n * 32).fill(1)),
};
const dark = { width: 4, height: 2, rgba: new Uint8Array(32).fill(9) };
const white = { width: 4, height: 2, rgba: new Uint8Array(32).fill(255) };
const light = { width: 4, height: 2, rgba: new Uint8Array(32).fill(200) };

const model = await api.InfinityModel.load(NANO, { device });
const { config } = model;
const memory = {
  type: "f16",
  batchCount: 1,
  promptTokens: 2,
  adapter: "gpu",
  f16: true,
  edit: false,
};
const ABSENT = "undefined, {}, no prototype";
const TEXT = "'', '7', 'x'";

const CASES: readonly Hostile[] = [
  { name: "takeScales", call: api.takeScales, args: [bits, 2] },
  {
    name: "interpolateBits",
    call: api.interpolateBits,
    args: [bits, bits, 0.5, 7n],
    takes: ["3: undefined"],
  },
  { name: "encodeBitsFile", call: api.encodeBitsFile, args: [bits] },
  {
    name: "decodeBitsFile",
    call: api.decodeBitsFile,
    args: [api.encodeBitsFile(bits), "a name"],
    takes: [`1: undefined, ${TEXT}`],
  },
  {
    name: "encodePng",
    call: api.encodePng,
    args: [dark.rgba, 4, 2, { parameters: "red" }],
    takes: [`3: ${ABSENT}`, `3.parameters: ${TEXT}`],
  },
  {
    name: "encodeApng",
    call: api.encodeApng,
    args: [[dark, light], [50, 60], { a: "red" }],
    takes: [`2: ${ABSENT}`, `2.a: ${TEXT}`],
  },
  { name: "psnr", call: analysis.psnr, args: [dark, light] },
  { name: "ssim", call: analysis.ssim, args: [dark, light] },
  { name: "bitEntropy", call: analysis.bitEntropy, args: [[bits, bits]] },
  {
    name: "flipSensitivity",
    call: analysis.flipSensitivity,
    args: [
      (list: readonly unknown[]) => Promise.resolve(list.map(() => dark)),
      [{ ...bits, width: 4, height: 2 }],
      { shares: [0.5], trials: 1, seed: 7n },
    ],
    takes: [`2: ${ABSENT}`, "2.shares: undefined", "2.trials: undefined", "2.seed: undefined"],
  },
  {
    name: "planMemory",
    call: (options: analysis.MemoryOptions) => analysis.planMemory(config, options),
    args: [memory],
    takes: [`0: ${ABSENT}`, "0.*: undefined", "0.f16: true", "0.edit: true"],
  },
  {
    name: "fitMemory",
    call: (maxBytes: number) => analysis.fitMemory(config, {}, maxBytes),
    args: [1e12],
    takes: ["0: Infinity, 2^53, 1e300"],
  },
  {
    name: "planGeneration",
    call: (options: api.GenerateOptions) => analysis.planGeneration(config, options),
    args: [{
      prompt: ["red apple"],
      negativePrompt: "blue",
      batchCount: 2,
      seed: 7,
      cfgScale: 3,
      cfgUntil: 2,
      tau: 0.5,
      topK: 1,
      topP: 0.5,
      greedy: false,
      cfgInsertionLayer: -2,
      fast: ["kv"],
      width: 32,
      height: 32,
      trace: false,
      init: dark,
      strength: 0.5,
      mask: white,
      onProgress: () => {},
      preview: false,
    }],
    takes: [
      "0.prompt.0: '7', 'x'",
      "0.prompt: '7', 'x', ['x']",
      `0.negativePrompt: undefined, ${TEXT}`,
      "0.batchCount: undefined",
      "0.seed: undefined, -1, -7n",
      "0.cfgScale: undefined, -1, -0.5, 1.5, 2^53",
      "0.cfgUntil: undefined",
      "0.tau: undefined, 1.5, 2^53",
      "0.topK: undefined, 2^53, 1e300",
      "0.topP: undefined",
      "0.greedy: undefined, true",
      "0.cfgInsertionLayer: undefined, -1",
      "0.fast: undefined, []",
      "0.trace: undefined, true",
      "0.init: no",
      "0.strength: undefined",
      "0.mask: undefined",
      "0.onProgress: undefined, a function",
      "0.preview: undefined, true",
    ],
  },
  {
    // a number of a config has bounds of its own; none may end in another error
    name: "planGeneration with a config",
    call: (of: api.ModelConfig) => analysis.planGeneration(of, { prompt: "red apple" }),
    args: [config],
    takes: ["0: {}, no prototype, a length, a bad toString", "0.*: any"],
  },
  {
    name: "InfinityModel.synthetic",
    call: (of: api.ModelConfig) => api.InfinityModel.synthetic(of, { device, lazy: true }),
    args: [{ ...config, transformer: 7 }],
    takes: ["0: {}, no prototype, a length, a bad toString", "0.*: any"],
    fails: true,
  },
  {
    name: "InfinityModel.load",
    call: api.InfinityModel.load,
    args: ["nowhere", { type: "f16", staged: true, lazy: true, device, onProgress: () => {} }],
    takes: ["0: undefined"],
    fails: true,
  },
  {
    name: "model.generate",
    call: (prompt: string, options: api.GenerateOptions) => model.generate(prompt, options),
    args: ["red apple", { strength: undefined, topP: 0.5 }],
    takes: [
      `0: '7', 'x', ['x']`,
      `1: ${ABSENT}`,
      "1.strength: undefined",
      "1.topP: undefined",
    ],
  },
  {
    name: "model.stream",
    call: async (prompt: string, options: api.GenerateOptions) => {
      const steps = model.stream(prompt, options);
      await steps.next();
      await steps.return(undefined as never);
    },
    args: ["red apple", { greedy: true }],
    takes: [`0: '7', 'x', ['x']`, `1: ${ABSENT}`, "1.greedy: undefined, true"],
  },
  {
    name: "model.edit",
    call: (init: api.ImageBits, options: api.GenerateOptions) => model.edit(init, options),
    args: [bits, { prompt: "red apple", strength: 0.25 }],
    takes: ["1.strength: undefined", "1.prompt: '7', 'x', ['x']"],
  },
  {
    name: "model.encode",
    call: (image: api.Image, options: api.EncodeOptions) => model.encode(image, options),
    args: [dark, { scales: 1 }],
    takes: [`1: ${ABSENT}`, "1.scales: undefined"],
  },
  {
    name: "model.decode",
    call: (list: api.ImageBits[], options: { signal?: AbortSignal }) => model.decode(list, options),
    args: [[bits], {}],
    takes: ["0: []", `1: ${ABSENT}`],
  },
];

testHostile(CASES);
