// Files of a megabyte that consist of one part again and again: what is done for each part must not grow with the others.
import { deflateSync } from "node:zlib";
import { bytesSource, Safetensors } from "../../../engine/mod.ts";
import type { Random } from "../random.ts";
import { edge, joined, text } from "../mutate.ts";
import { type Reader, reader } from "../reader.ts";
import { JPEG, JPEG_PROGRESSIVE, WEBP } from "../../model/image/image_files.ts";
import { GOOD } from "../../model/release/torch/hostile_checkpoints.ts";
import { entriesOf, py, storage, tensor, zip } from "../../model/release/torch/torch_files.ts";
import { charsmap, metaspace, tokenizerJson, VOCAB } from "../../model/text/t5_layouts.ts";
import { torch } from "./checkpoint.ts";
import { jpeg, segments, webp } from "./coded.ts";
import { commands } from "./commands.ts";
import { exif, icc, int } from "./metadata.ts";
import { config, tuning } from "./model.ts";
import { extra, png, pngText, textChunk } from "./png.ts";
import { bits, fileOf, safetensors, shards, type TensorsFile } from "./tensors.ts";
import { parameters, prompts } from "./texts.ts";
import { tokenizer } from "./tokenizer.ts";
import { hub } from "./web.ts";

const ascii = (of: string) => new TextEncoder().encode(of);
const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

/** A reader, and an input of it that is made of `n` parts. */
type Large = readonly [Pick<Reader, "read" | "file">, (random: Random, n: number) => unknown];

const HEADER = { type: "IHDR", data: joined(int(8, 4), int(8, 4), [8, 2, 0, 0, 0]) };
const IDAT = { type: "IDAT", data: new Uint8Array(deflateSync(new Uint8Array(8 * 25))) };
const IEND = { type: "IEND", data: new Uint8Array() };

function pngOf(middle: unknown[]): unknown {
  return { chunks: [HEADER, ...middle, IDAT, IEND], tail: 0 };
}

const s0 = storage("0", "Float", new Float32Array(6));

/** Opens a file of tensors, and leaves the tensors alone. */
const opened = reader({
  ...safetensors as Reader<TensorsFile>,
  read: (input) => Safetensors.open(bytesSource("x.safetensors", fileOf(input))),
});

const KINDS: readonly Large[] = [
  [png, (random, n) => {
    const one = extra(random);
    return pngOf(times(Math.min(n, 2 ** 24 / (one.data.length + 1)), () => one));
  }],
  [png, (random, n) => pngOf(times(n / 10_000, () => extra(random)))],
  [png, (_, n) => ({
    chunks: [
      HEADER,
      ...times(n, (i) => ({ type: "IDAT", data: IDAT.data.subarray(i, i + 1) })),
      IEND,
    ],
    tail: 0,
  })],
  [pngText, (random, n) => pngOf(times(n / 1000, () => textChunk(random)))],
  [jpeg, (random, n) => {
    const parts = [...segments(random.pick([JPEG, JPEG_PROGRESSIVE]))];
    const at = 1 + random.below(parts.length - 2);
    return [...parts.slice(0, at), ...times(n / 10, () => parts[at]!), ...parts.slice(at)];
  }],
  [jpeg, (random, n) => {
    const [start, ...rest] = segments(JPEG);
    const data = random.pick([
      joined(ascii("Exif\0\0"), exif(random)),
      joined(ascii("ICC_PROFILE\0"), [1, 1], icc(random)),
      ascii("JFIF\0"),
    ]);
    const marker = random.pick([0xe1, 0xe2, 0xe0, 0xfe]);
    const one = joined([0xff, marker], int(data.length + 2, 2), data);
    return [start, ...times(n / 10, () => one), ...rest];
  }],
  [webp, (random, n) => {
    const one = joined(ascii(random.pick(["EXIF", "ICCP", "ABCD", "ALPH"])), int(2, 4, true), [
      1,
      2,
    ]);
    return { parts: [WEBP.subarray(12), ...times(n, () => one)], off: 0 };
  }],
  [opened, (random, n) => {
    const name = random.pick(["w", "a.b.", "x".repeat(99)]);
    const tensors = times(
      n,
      (i) => [`${name}${i}`, { dtype: "U8", shape: [1], data_offsets: [i, i + 1] }],
    );
    return { header: JSON.stringify(Object.fromEntries(tensors)), data: new Uint8Array(n) };
  }],
  [opened, (_, n) => ({
    header: JSON.stringify({
      __metadata__: Object.fromEntries(times(n, (i) => [`k${i}`, "v"])),
      x: { dtype: "U8", shape: Array(n).fill(1), data_offsets: [0, 1] },
    }),
    data: new Uint8Array(1),
  })],
  [opened, (random, n) => ({
    header: `{"a":${random.pick(["[", '{"a":'])}`.padEnd(
      4 * n,
      random.pick(["[", '{"a":', '\\"', " "]),
    ),
    data: new Uint8Array(),
  })],
  [shards, (random, n) => ({
    index: JSON.stringify({
      weight_map: Object.fromEntries(
        times(n, (i) => [`w${i}`, random.chance(0.5) ? "a" : `s${i}`]),
      ),
    }),
    files: {},
  })],
  [bits, (random, n) => ({
    header: JSON.stringify({
      __metadata__: {
        format: "bitwise-bits-1",
        d: "1",
        size: "9x9",
        latent: "1x1",
        schedule: random.pick(["1x1,", "x", "1x", "1x1, "]).repeat(n),
      },
    }),
    data: new Uint8Array(),
  })],
  [torch, (random, n) => {
    const entries = times(
      n / 10,
      (i) => ({ name: `m/${text(random).replaceAll(/\W/g, "")}${i}`, bytes: new Uint8Array(1) }),
    );
    return zip([...entriesOf(GOOD, [s0]), ...entries]);
  }],
  [torch, (_, n) => {
    const all = Object.fromEntries(times(n / 50, (i) => [`w${i}`, tensor(s0, [2, 3])]));
    return zip(entriesOf(py.pickle(py.dict(all)), [s0]));
  }],
  [config, (random, n) => {
    const list = Array(n).fill(edge(random));
    const key = random.pick(["decoder_ch_mult", "encoder_ch_mult"]);
    return random.chance(0.5)
      ? { vae: { [key]: list } }
      : { scale_schedule: times(n, () => [1, 1, 1]) };
  }],
  [
    config,
    (random, n) => ({
      name: "x".repeat(n),
      files: { vae: random.pick(["a/", "../", "a"]).repeat(n) },
    }),
  ],
  [tuning, (_, n) => JSON.stringify({ "matmul_texture rows": times(n, (i) => [i, "8"]) })],
  [
    parameters,
    (random, n) =>
      random.pick(["a", "a: ", 'a: "', "\n", "Negative prompt:\n", "1x1,", "\\"]).repeat(n),
  ],
  [prompts, (random, n) => ({
    given: { "prompt-file": "-" },
    words: [],
    stdin: ascii(random.pick(["a\n", "\n", "a ", "\r"]).repeat(n)),
  })],
  [tokenizer, (random, n) => {
    const vocab = [...VOCAB, ...times(n / 10, (i) => [`${random.pick(["a", "▁"])}${i}`, -9])];
    const made = tokenizerJson(null, metaspace());
    return {
      tree: { ...made, model: { ...made.model as object, vocab } },
      maxLength: 99,
      prompts: ["a1 a22"],
    };
  }],
  [tokenizer, (random, n) => ({
    tree: tokenizerJson(
      { type: "Precompiled", precompiled_charsmap: charsmap() },
      metaspace({ split: random.chance(0.5) }),
    ),
    maxLength: random.pick([9, 1e6]),
    prompts: [
      random.pick(["a", "z", "é", "🐱", "猫", " ", "a ", "</s>", "\u0301", "a\u0301", "👩‍👩‍👧"]).repeat(
        n,
      ),
    ],
  })],
  [hub, (random, n) => {
    const file = { type: "file", path: "x", size: 1, oid: "0".repeat(40) };
    const reply = (body: unknown) => ({ status: 200, headers: [], body: JSON.stringify(body) });
    const many = times(n / 10, () => file);
    return {
      commit: reply({ sha: "0".repeat(40), siblings: many }),
      files: reply(random.chance(0.5) ? many : [file]),
      file: { status: 200, headers: [], body: new Uint8Array(n) },
      offset: 0,
    };
  }],
  [commands, (random, n) => ({
    args: [
      "generate",
      ...times(n / 50, () => random.pick(["a", "-p", "a", "--cfg-scale=1,2", "-v"])),
    ],
    stdin: new Uint8Array(),
  })],
  [commands, (random, n) => ({
    args: [
      "generate",
      "red apple",
      `--${random.pick(["schedule", "seed", "tau", "x", "cfg-scale"])}=${
        random.pick(["1x1,", "1", "1,", "-", "a"]).repeat(n)
      }`,
    ],
    stdin: new Uint8Array(),
  })],
];

export const large = reader({
  deadline: 3000,
  memory: 2 ** 29,
  usesFiles: true,
  whole: true,
  make(random) {
    const kind = random.below(KINDS.length);
    return { kind, input: KINDS[kind]![1](random, random.pick([1000, 30_000, 100_000])) };
  },
  file: ({ kind, input }) => KINDS[kind]![0].file?.(input) ?? Deno.inspect(input),
  read: ({ kind, input }) => KINDS[kind]![0].read(input),
});
