import { assert, assertAlmostEquals, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import {
  CheckpointError,
  DeviceError,
  encodeSafetensors,
  FileError,
  OutOfMemoryError,
} from "../../../../engine/mod.ts";
import { openTensorFile } from "../../../../model/checkpoint/files.ts";
import { encodeLora, readLora } from "../../../../model/checkpoint/lora_file.ts";
import { InfinityModel } from "../../../../model/infinity.ts";
import { nanoLora } from "../../checkpoint/lora_files.ts";
import { parameterShapes } from "../../../../model/checkpoint/tensor_shapes.ts";
import { readTrainConfig } from "../../../../model/training/config/train_config.ts";
import type { TrainConfig } from "../../../../model/training/config/types.ts";
import { Optimiser } from "../../../../model/training/optimiser/optimiser.ts";
import { readLog } from "../../../../model/training/report/log.ts";
import type { TrainingOptions, TrainingProgress } from "../../../../model/training/report/types.ts";
import {
  adapterOf,
  adapterSpecs,
  initAdapters,
} from "../../../../model/training/session/adapters.ts";
import {
  describeFolder,
  prepareFolder,
  sampleFolder,
} from "../../../../model/training/session/folder.ts";
import { checkFolder, checkPlace } from "../../../../model/training/session/place.ts";
import {
  type Facts,
  runStage,
  type StageWork,
} from "../../../../model/training/session/run_stage.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { saveLora, saveWeights } from "../../../../model/training/session/weights.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import { inFolder } from "../../../commands/process.ts";
import { device } from "../../../harness.ts";
import type { StepSize } from "../../../../model/training/run/plan.ts";
import { Toy } from "../run/toy.ts";
import { NANO } from "../../../nano.ts";

const CONFIG = fromFileUrl(
  new URL("../../../../examples/training/emoji-nano.json", import.meta.url),
);

const nano = await readTrainConfig(CONFIG);
const config: TrainConfig = {
  ...nano,
  transformer: { ...nano.transformer, steps: 20, accumulate: 1, warmup: 5, learning_rate: 0.05 },
  report_every: 2,
  sample_every: 8,
  checkpoint_every: 6,
};

/** Runs a stage whose task is a toy. */
async function run(
  output: string,
  options: Partial<TrainingOptions> = {},
  by = config,
  changes: Partial<StageWork> = {},
) {
  using toy = new Toy(device);
  const progress: TrainingProgress[] = [];
  const sheets: string[] = [];
  const pixel = { width: 1, height: 1, rgba: Uint8Array.of(1, 2, 3, 255) };
  const work: StageWork = {
    task: toy,
    async save(optimiser) {
      await saveWeights(device, join(output, "toy.safetensors"), optimiser);
      return [join(output, "toy.safetensors")];
    },
    samples: () => Promise.resolve({ images: [pixel], captions: ["a pixel"] }),
    ...changes,
  };
  await checkPlace({ output, ...options }, "transformer");
  const result = await runStage(device, by, "transformer", {
    output,
    onProgress: (one) => void progress.push(one),
    onSamples: (path) => void sheets.push(path),
    ...options,
  }, work);
  return { result, progress, sheets, values: await toy.read() };
}

Deno.test("runStage() logs, samples, makes checkpoints, and writes weights", () =>
  inFolder(async (output) => {
    const live = device.memory.liveBytes;
    const { result, progress, sheets, values } = await run(output);
    assertEquals(device.memory.liveBytes, live);
    assertEquals([result.step, result.stage], [20, "transformer"]);
    assertEquals(progress.map(({ report }) => report.step), [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    const { report, part, steps, secondsLeft } = progress.at(-1)!;
    assertEquals([part, steps, secondsLeft], [1, 20, 0]);
    assertEquals(report.bit_accuracy!.length, 2);
    assert(report.loss < progress[0]!.report.loss);
    const log = await readLog(join(output, "log.jsonl"));
    assertEquals(log.map(({ step }) => step), progress.map(({ report }) => report.step));
    assertAlmostEquals(log.at(-1)!.loss, report.loss, 1e-6);
    const names = sheets.map((path) => path.slice(output.length + 1));
    // the last one shows what was made
    assertEquals(
      names,
      [8, 16, 20].map((n) => `samples/transformer-${`${n}`.padStart(6, "0")}.png`),
    );
    const svg = await Deno.readTextFile(join(output, "curves.svg"));
    assert(svg.includes("transformer: share of bits that are right"), svg.slice(0, 200));
    const file = await openTensorFile(result.files[0]!);
    assertEquals(file.get("first").shape, [2, 5, 4]);
    assertEquals([...await file.readFloat32("first")], values[0]);
    file.close();
  }));

Deno.test("runStage() warns of samples that memory is too short for, and goes on", () =>
  inFolder(async (output) => {
    const warnings: string[] = [];
    const onWarning = (line: string) => void warnings.push(line);
    const samples = () => Promise.reject(new OutOfMemoryError("full", "Cannot allocate x"));
    const { result, sheets } = await run(output, { onWarning }, config, { samples });
    assertEquals([result.step, sheets], [20, []]);
    assertEquals(
      warnings,
      [8, 16, 20].map((step) => `No samples after step ${step}: Cannot allocate x`),
    );
    const broken = () => Promise.reject(new Error("broken"));
    const other = join(output, "other");
    await assertRejects(() => run(other, {}, config, { samples: broken }), Error, "broken");
  }));

Deno.test("runStage() goes on where a run was aborted, as if it had not been", () =>
  inFolder(async (output) => {
    const whole = await run(join(output, "whole"));
    const folder = join(output, "parts");
    const stop = new AbortController();
    const reason = new Error("stop");
    await assertRejects(
      () =>
        run(folder, {
          signal: stop.signal,
          onProgress: ({ report }) => report.step >= 8 && stop.abort(reason),
        }),
      Error,
      "stop",
    );
    const [first] = await Promise.all([readLog(join(folder, "log.jsonl"))]);
    assert(first.length >= 4 && first.length <= 10);
    const again = await run(folder, { resume: true });
    assertEquals(again.values, whole.values);
    const losses = (await readLog(join(folder, "log.jsonl"))).map(({ step, loss }) => [step, loss]);
    const expected = await readLog(join(output, "whole", "log.jsonl"));
    // the report at the abort may be of fewer steps
    const common = losses.filter(([step]) => step! > 10 && step! % 2 === 0);
    assert(common.length >= 2);
    const at = new Map(expected.map(({ step, loss }) => [step, loss]));
    for (const [step, loss] of common) assertEquals(loss, at.get(step!));
  }));

Deno.test("runStage() refuses to begin twice, to go on from nothing, or with other settings", () =>
  inFolder(async (output) => {
    const refusal = async (output: string, options = {}, by = config) => {
      const { code, hint } = await assertRejects(() => run(output, options, by), CheckpointError);
      return [code, hint];
    };
    assertEquals(await refusal(output, { resume: true }), ["no-checkpoint", undefined]);
    await run(output);
    assertEquals(await refusal(output), ["exists", "resume"]);
    const other = { ...config, transformer: { ...config.transformer, learning_rate: 0.01 } };
    assertEquals(await refusal(output, { resume: true }, other), ["other-config", "any-config"]);
    const longer = {
      ...config,
      report_every: 5,
      transformer: { ...config.transformer, steps: 22 },
    };
    assertEquals((await run(output, { resume: true }, longer)).result.step, 22);
    await run(output, { resume: true, anyConfig: true }, other);
  }));

Deno.test("runStage() goes on with images that were moved, and says so", () =>
  inFolder(async (output) => {
    await run(output);
    const warnings: string[] = [];
    const onWarning = (line: string) => void warnings.push(line);
    await run(output, { resume: true, onWarning });
    assertEquals(warnings, []);
    const moved = { ...config, data: { ...config.data, path: "elsewhere" } };
    await run(output, { resume: true, onWarning }, moved);
    assertEquals(warnings.length, 1);
    assertMatch(
      warnings[0]!,
      /^Going on with other settings: data\.path was ".*" and is "elsewhere"$/,
    );
  }));

Deno.test("runStage() says that there are other images, or that another tokenizer makes the bits", () =>
  inFolder(async (output) => {
    const facts: Facts = { images: 12, vae: "0a" };
    await run(output, {}, config, { facts });
    const warned = async (facts: Facts) => {
      const warnings: string[] = [];
      const onWarning = (line: string) => void warnings.push(line.replace(/^.*: /, ""));
      await run(output, { resume: true, onWarning }, config, { facts });
      return warnings;
    };
    assertEquals(await warned(facts), []);
    assertEquals(await warned({ ...facts, images: 11 }), ["images was 12 and is 11"]);
    assertEquals(await warned({ ...facts, vae: "0b" }), ['vae was "0a" and is "0b"']);
  }));

Deno.test("runStage() gives its result, or why it ended, though curves cannot be drawn", () =>
  inFolder(async (output) => {
    await Deno.mkdir(join(output, "curves.svg"));
    const still = { ...config, sample_every: 0 };
    await assertRejects(() => run(output, {}, still), FileError, "curves.svg");
    const reason = new RangeError("that will do");
    const signal = AbortSignal.abort(reason);
    const other = { ...still, transformer: { ...still.transformer, steps: 30 } };
    await assertRejects(() => run(output, { resume: true, signal }, other), RangeError);
  }));

Deno.test("runStage() does not go on with other images, or with adapters for another model", () =>
  inFolder(async (output) => {
    await run(output, {}, config, { facts: { base: "one" } });
    const resumed = (by = config, base = "one") =>
      run(output, { resume: true }, by, { facts: { base } });
    await resumed();
    const mirrored = { ...config, data: { ...config.data, mirror: 0.5 } };
    await assertRejects(() => resumed(mirrored), CheckpointError, "data.mirror was 0 and is 0.5");
    await assertRejects(
      () => resumed(config, "other"),
      CheckpointError,
      'base was "one" and is "other"',
    );
  }));

Deno.test("train() without an adapter says in one line what to install, and writes nothing", () =>
  inFolder(async (folder) => {
    const gpu = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU;
    const output = join(folder, "made");
    const error = await assertRejects(() => train(nano, "tokenizer", { output, gpu }), DeviceError);
    assertEquals(error.code, "no-adapter");
    assertMatch(error.message, /^Cannot find a WebGPU adapter: install [^\n]*$/);
    await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
  }));

Deno.test("runStage() says which batch would fit when memory is short", () =>
  inFolder(async (output) => {
    using toy = new Toy(device);
    const refusal = new OutOfMemoryError("out-of-memory", "Cannot allocate");
    toy.change = () => {
      throw refusal;
    };
    device.memory.resetPeak();
    const one = device.memory.peakBytes / 5;
    const plan = ({ batch, recompute }: StepSize) =>
      Promise.resolve(batch * one / (recompute ? 2 : 1));
    const work: StageWork = { task: toy, save: () => Promise.resolve([]), plan };
    const by = { ...config, transformer: { ...config.transformer, batch: 100, recompute: false } };
    const error = await assertRejects(
      () => runStage(device, by, "transformer", { output }, work),
      OutOfMemoryError,
    );
    assertEquals([error.code, error.hint], ["step-too-large", "smaller-batch"]);
    assertEquals(error.cause, refusal);
    assertMatch(
      error.message,
      /Cannot train the transformer with batch 100: .*; batch \d or batch \d+ with recompute/,
    );
  }));

Deno.test("saveWeights() copies what was not trained", () =>
  inFolder(async (folder) => {
    using toy = new Toy(device);
    using optimiser = new Optimiser(device, toy.parameters);
    const [one, two] = [join(folder, "one.safetensors"), join(folder, "two.safetensors")];
    await saveWeights(device, one, optimiser);
    const base = await openTensorFile(one);
    device.upload(toy.parameters.get("second").value, new Float32Array(40).fill(3));
    const keep = (name: string) => name === "second";
    await saveWeights(device, two, optimiser, { keep, base });
    const made = await openTensorFile(two);
    assertEquals([...made.tensors.keys()].sort(), ["first", "second"]);
    assertEquals(await made.readFloat32("first"), await base.readFloat32("first"));
    assertEquals(await made.readFloat32("second"), new Float32Array(40).fill(3));
    for (const file of [base, made]) file.close();
  }));

Deno.test("adapters begin without effect, and are saved as a LoRA of the model", () =>
  inFolder(async (folder) => {
    const { transformer } = config.model;
    const counts = (["attention", "blocks", "all"] as const).map((layers) =>
      adapterSpecs(transformer, { rank: 4, alpha: null, layers }).length
    );
    const depth = transformer.depth;
    assertEquals(counts, [2 * 5 * depth, 2 * 7 * depth, 2 * (7 * depth + 7)]);
    const lora = { rank: 4, alpha: 8, layers: "all" } as const;
    const specs = adapterSpecs(transformer, lora);
    const shapes = new Map(parameterShapes(transformer));
    using parameters = new Parameters(device, specs);
    initAdapters(device, parameters, 7);
    const { down, up, strength } = adapterOf(parameters, lora, "word_embed.weight")!;
    assertEquals([down.value.shape, up.value.shape, strength], [[4, 32], [256, 4], 2]);
    assertEquals(adapterOf(parameters, lora, "head.weight"), undefined);
    const [a, b] = await device.readAll([down.value, up.value]);
    assert(b!.every((value) => value === 0) && a!.some((value) => value !== 0));
    using optimiser = new Optimiser(device, parameters);
    const path = join(folder, "lora.safetensors");
    await saveLora(device, path, optimiser, { rank: 4, alpha: 8, base: "00", baseName: "m" });
    const file = await openTensorFile(path);
    const read = await readLora(file);
    file.close();
    assertEquals(read.adapters.size, specs.length / 2);
    assertEquals(read.adapters.get("word_embed.weight")!.A, a as Float32Array<ArrayBuffer>);
    for (const [name, { shape }] of read.adapters) assertEquals(shape, shapes.get(name));
  }));

Deno.test("prepareFolder() makes a folder from which samples come, and touches no other model", () =>
  inFolder(async (folder) => {
    const path = join(folder, "config.json");
    await Deno.writeTextFile(
      path,
      JSON.stringify({
        init: "emoji-nano",
        name: "mine",
        data: { kind: "folder", path: "." },
        sample_prompts: ["red apple", "dog face"],
      }),
    );
    const config = await readTrainConfig(path);
    const output = join(folder, "made");
    for (let i = 0; i < 2; i++) {
      await checkFolder(output);
      await prepareFolder(config, output);
      await describeFolder(config, output);
    }
    const { images, captions } = await sampleFolder(device, config, output);
    assertEquals([images.length, images[0]!.width, captions], [2, 32, config.sample_prompts]);
    using model = await InfinityModel.load(output, { device });
    assertEquals(model.config.name, "mine");
    await Deno.remove(join(output, "vae.safetensors"));
    assertEquals((await sampleFolder(device, config, output)).images, []);
    // it is known as a training by its checkpoint alone, too
    const [log, checkpoint] = ["log.jsonl", "checkpoints/decoder.safetensors"]
      .map((name) => join(output, name)) as [string, string];
    await Deno.remove(log);
    assertEquals((await assertRejects(() => checkFolder(output), CheckpointError)).code, "exists");
    await Deno.mkdir(join(output, "checkpoints"));
    await Deno.writeFile(checkpoint, new Uint8Array());
    await checkFolder(output);
    // the folder of CONFIG.json has a config.json that no training made
    const { code } = await assertRejects(() => checkFolder(folder), CheckpointError);
    assertEquals(code, "exists");
  }));

Deno.test("prepareFolder() keeps weights that were trained, not those that were only copied", () =>
  inFolder(async (folder) => {
    const output = join(folder, "made");
    const by = { ...config, init: fromFileUrl(NANO) };
    const path = join(output, "vae.safetensors");
    const copied = async () => {
      await prepareFolder(by, output);
      return (await Deno.stat(path)).size;
    };
    const size = await copied();
    const other = () => Deno.writeFile(path, encodeSafetensors([])); // of another `init`, say
    await other();
    assertEquals(await copied(), size);
    await Deno.writeTextFile(join(output, "log.jsonl"), '{"stage":"tokenizer"}\n');
    await other();
    assert(await copied() < size);
  }));

Deno.test("sampleFolder() adds the adapters of a folder to the model they are for", () =>
  inFolder(async (folder) => {
    const path = join(folder, "lora.safetensors");
    await Deno.writeFile(path, encodeLora(await nanoLora()));
    const init = fromFileUrl(NANO);
    const sample_prompts = ["red apple"];
    const adapted = {
      ...config,
      init,
      sample_prompts,
      transformer: {
        ...config.transformer,
        lora: { rank: 3, alpha: null, layers: "all" as const },
      },
    };
    const one = await sampleFolder(device, adapted, folder);
    const other = await sampleFolder(device, { ...config, sample_prompts }, init);
    assert(one.images[0]!.rgba.some((value, i) => value !== other.images[0]!.rgba[i]));
  }));

Deno.test("saveWeights() stores what was quantised before as it was trained", () =>
  inFolder(async (folder) => {
    const name = "blocks.0.ca.proj.weight";
    using parameters = new Parameters(device, [{ name, shape: [2, 32], decay: true }]);
    const value = Float32Array.from({ length: 64 }, (_, i) => i);
    device.upload(parameters.get(name).value, value);
    using optimiser = new Optimiser(device, parameters);
    const other = "blocks.0.ca.mat_q.weight";
    const quantised = (name: string) => [
      { name, dtype: "I8" as const, shape: [2, 32], data: new Int8Array(64) },
      { name: `${name}.scales`, dtype: "F16" as const, shape: [2, 1], data: new Uint16Array(2) },
    ];
    for (const left of [[], quantised(other)]) {
      const path = join(folder, "x.safetensors");
      const bytes = encodeSafetensors([...quantised(name), ...left], { quantisation: "q8_0" });
      await Deno.writeFile(path, bytes);
      const base = await openTensorFile(path);
      await saveWeights(device, path, optimiser, { base });
      base.close();
      const made = await openTensorFile(path);
      const names = [name, ...left.map(({ name }) => name)];
      assertEquals([...made.tensors.keys()].sort(), names.sort());
      assertEquals(await made.readFloat32(name), value);
      assertEquals(made.metadata.quantisation, left.length ? "q8_0" : undefined);
      made.close();
    }
  }));
