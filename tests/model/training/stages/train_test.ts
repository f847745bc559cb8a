import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { basename, join } from "@std/path";
import { InfinityModel } from "../../../../mod.ts";
import { type Stage, STAGES, type TrainConfig } from "../../../../model/training/config/types.ts";
import type { TrainingOptions } from "../../../../model/training/report/types.ts";
import {
  BitwiseError,
  CheckpointError,
  encodeSafetensors,
  type TensorToWrite,
} from "../../../../engine/mod.ts";
import { openTensorFile } from "../../../../model/checkpoint/files.ts";
import { encodePng } from "../../../../model/image/png.ts";
import { Weights } from "../../../../model/checkpoint/weights.ts";
import { convertFile } from "../../../../model/release/convert.ts";
import { readLog } from "../../../../model/training/report/log.ts";
import { FolderLock } from "../../../../model/training/session/folder_lock.ts";
import { checkStages } from "../../../../model/training/stages/check_stages.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { inFolder } from "../../../commands/process.ts";
import { device } from "../../../harness.ts";
import { tinyTraining } from "./tiny.ts";

Deno.test("train() makes a model of nothing, stage by stage, and finetunes it with adapters", () =>
  inFolder(async (output) => {
    const config = await tinyTraining({ sample_every: 6 });
    const sheets: string[] = [];
    for (const stage of ["tokenizer", "transformer", "decoder"] as const) {
      const onSamples = (path: string) => void sheets.push(path.slice(output.length + 1));
      const { step, files } = await train(config, stage, { output, onSamples });
      assertEquals(step, 12);
      assert(files.length > 0);
      const log = (await readLog(join(output, "log.jsonl"))).filter((line) => line.stage === stage);
      assertEquals(log.map(({ step }) => step), [3, 6, 9, 12]);
      assert(log.at(-1)!.loss < log[0]!.loss, `${stage}: ${log.map(({ loss }) => loss)}`);
      if (stage === "transformer") assertEquals(log[0]!.bit_accuracy!.length, 3);
      else assert(log[0]!.psnr! > 0);
    }
    assertEquals(sheets.filter((path) => path.endsWith("12.png")).length, 3);
    const generate = async (lora: { path: string }[] = []) => {
      using model = await InfinityModel.load(output, { device, lora });
      const { images } = await model.generate({ prompt: "red apple", seed: 1 });
      return images[0]!;
    };
    const { width, height, rgba } = await generate();
    assertEquals([width, height], [32, 32]);

    const adapted = join(output, "adapted");
    const lora = { ...config.transformer, lora: { rank: 4, alpha: null, layers: "all" as const } };
    const tuning = { ...config, init: output, transformer: { ...lora, learning_rate: 0.05 } };
    const { files: [path] } = await train(tuning, "transformer", { output: adapted });
    const other = await generate([{ path: path! }]);
    assert(other.rgba.some((byte, i) => byte !== rgba[i]), "adapters change the image");
  }));

Deno.test("train() draws the share of images that is asked for, however small batches are", () =>
  inFolder(async (output) => {
    const few = { steps: 2, batch: 1, accumulate: 4 };
    const config = await tinyTraining({ tokenizer: few, transformer: few });
    for (const stage of ["tokenizer", "transformer"] as const) {
      await train(config, stage, { output });
    }
    const decoder = async (drawn: number) => {
      const by = { ...config, init: output, decoder: { ...config.decoder, ...few, drawn } };
      const { files: [path] } = await train(by, "decoder", { output: join(output, `${drawn}`) });
      return await Deno.readFile(path!);
    };
    const [none, some, all] = [await decoder(0), await decoder(0.4), await decoder(1)];
    assertNotEquals(some, none);
    assertNotEquals(some, all);
  }));

Deno.test("FolderLock is held by one at a time, and leaves nothing behind", () =>
  inFolder(async (output) => {
    let [held, most] = [0, 0];
    const work = async () => {
      for (let i = 0; i < 60; i++) {
        try {
          await using _lock = await FolderLock.take(output);
          most = Math.max(most, ++held);
          await delay(i % 3);
          held--;
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
        }
      }
    };
    await Promise.all([work(), work(), work()]);
    assertEquals(most, 1);
    assertEquals(await Array.fromAsync(Deno.readDir(output)), []);
  }));

Deno.test("checkStages() refuses a later stage before the first one is trained", () =>
  inFolder(async (output) => {
    const config = await tinyTraining();
    const refusal = async (
      changes: Partial<TrainConfig>,
      options: Partial<TrainingOptions> = {},
    ) => {
      const check = () => checkStages({ ...config, ...changes }, STAGES, { output, ...options });
      return (await assertRejects(check, BitwiseError)).message;
    };
    const { text_encoder: _, ...mute } = config.model;
    assertStringIncludes(await refusal({ model: mute }), "without a text encoder");
    const pictures = join(output, "pictures");
    await Deno.mkdir(pictures);
    const pixel = encodePng(new Uint8Array(4096).fill(255), 32, 32);
    await Deno.writeFile(join(pictures, "a.png"), pixel);
    const data = { ...config.data, kind: "folder", path: pictures } as const;
    assertStringIncludes(await refusal({ data }), "has a caption");
    assertStringIncludes(await refusal({}, { resume: true }), "no checkpoint of the tokenizer");
    assertEquals(await checkStages(config, STAGES, { output }), [false, false, false]);

    await Deno.mkdir(join(output, "checkpoints"));
    await Deno.writeFile(join(output, "checkpoints", "transformer.safetensors"), new Uint8Array());
    assertStringIncludes(await refusal({}), "it has a checkpoint of the transformer");
    const resumed = await checkStages(config, STAGES, { output, resume: true });
    assertEquals(resumed, [false, true, false]);
  }));

Deno.test("train() gives the same bytes of weights after 50 steps with the same seed", () =>
  inFolder(async (output) => {
    const steps = { steps: 50, batch: 2, learning_rate: 2e-3, warmup: 5 };
    const config = await tinyTraining({ tokenizer: steps, transformer: steps, report_every: 50 });
    const weights = async (run: string, stages: readonly Stage[], seed = 1) => {
      const folder = join(output, run);
      const files: Uint8Array[] = [];
      for (const stage of stages) {
        const result = await train({ ...config, seed }, stage, { output: folder });
        for (const path of result.files) files.push(await Deno.readFile(path));
      }
      return files;
    };
    const stages = ["tokenizer", "transformer"] as const;
    const [one, same, other] = [
      await weights("one", stages),
      await weights("same", stages),
      await weights("other", ["tokenizer"], 2),
    ];
    assertEquals(one.length, 3);
    assert(one.every((bytes, i) => bytes.every((byte, at) => byte === same[i]![at])));
    assert(one[0]!.some((byte, at) => byte !== other[0]![at]));
  }));

Deno.test("train() says which stage must come before", () =>
  inFolder(async (output) => {
    const config = await tinyTraining();
    const refusal = async (stage: Stage) =>
      (await assertRejects(() => train(config, stage, { output }), CheckpointError)).message;
    const start = `Cannot train the transformer in "${output}": `;
    assertEquals(
      await refusal("transformer"),
      `${start}it has no visual tokenizer; train that first`,
    );
    await Deno.writeTextFile(join(output, "vae.safetensors"), "");
    assertStringIncludes(
      await refusal("decoder"),
      "no transformer, which is to draw; train that first",
    );
  }));

Deno.test("train() leaves no folder behind if it cannot begin", () =>
  inFolder(async (folder) => {
    const output = join(folder, "made");
    const config = await tinyTraining();
    const { data, model } = config;
    const text = join(folder, "text.json");
    await Deno.writeTextFile(text, "text");
    const small = { ...model, text_encoder: { ...model.text_encoder!, vocab_size: 100 } };
    const cases: [Partial<TrainConfig>, TrainingOptions, string, Stage?][] = [
      [{ data: { ...data, path: join(folder, "none") } }, { output }, "no such file"],
      [{ words: join(folder, "none") }, { output }, "no such file"],
      [{ words: text }, { output }, "not valid JSON"],
      [{ model: small }, { output }, "it has 3144 tokens, text_encoder.vocab_size is 100"],
      [{}, { output, resume: true }, "it has no checkpoint of the tokenizer"],
      [{}, { output: "https://example.com/model" }, "it is a URL"],
      [{}, { output }, "it has no visual tokenizer", "transformer"],
      [{ model: { ...model, text_encoder: undefined } }, { output }, "text encoder", "transformer"],
    ];
    for (const [changes, options, message, stage = "tokenizer"] of cases) {
      const begun = () => train({ ...config, ...changes } as TrainConfig, stage, options);
      assertStringIncludes((await assertRejects(begun, BitwiseError)).message, message);
      await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
    }
  }));

Deno.test("train() refuses a folder in which another training is at work", () =>
  inFolder(async (output) => {
    const config = await tinyTraining({ tokenizer: { steps: 1, batch: 1 } });
    {
      await using _other = await FolderLock.take(output);
      const begun = () => train(config, "tokenizer", { output });
      assertEquals((await assertRejects(begun, CheckpointError)).code, "busy");
      assertEquals(await Array.fromAsync(Deno.readDir(output), ({ name }) => name), [
        "training.lock",
      ]);
    }
    await train(config, "tokenizer", { output });
    await assertRejects(() => Deno.stat(join(output, "training.lock")), Deno.errors.NotFound);
  }));

Deno.test("train() leaves config.json alone if it cannot go on", () =>
  inFolder(async (output) => {
    const stage = { steps: 1, batch: 1 };
    const config = await tinyTraining({ tokenizer: stage });
    await train(config, "tokenizer", { output });
    const files = ["config.json", "log.jsonl", "vae.safetensors"].map((name) => join(output, name));
    const bytes = () => Promise.all(files.map((path) => Deno.readFile(path)));
    const before = await bytes();
    const other = { ...config, name: "other", model_json: { ...config.model_json, name: "other" } };
    for (const resume of [true, false]) {
      const again = () => train(other, "tokenizer", { output, resume });
      const { code } = await assertRejects(again, CheckpointError);
      assertEquals(code, resume ? "other-config" : "exists");
      assertEquals(await bytes(), before);
    }
  }));

/** Writes a transformer's file as f32, with the values that another file holds in whatever way. */
async function widenFile(source: string, target: string): Promise<void> {
  const file = await openTensorFile(source);
  const weights = new Weights(device, file, "f32");
  const tensors: TensorToWrite[] = [];
  for (const name of [...file.tensors.keys()].filter((name) => !name.endsWith(".scales"))) {
    const shape = weights.shapeOf(name);
    const data = await device.read(await weights.tensor(name, shape)) as Float32Array<ArrayBuffer>;
    tensors.push({ name, dtype: "F32", shape, data });
  }
  weights.dispose();
  file.close();
  await Deno.writeFile(target, encodeSafetensors(tensors));
}

Deno.test("train() makes the same adapters for a model however it is stored", () =>
  inFolder(async (folder) => {
    const config = await tinyTraining({ tokenizer: { steps: 1, batch: 1 } });
    const once = { ...config, transformer: { ...config.transformer, steps: 1, batch: 1 } };
    const base = join(folder, "base");
    for (const stage of ["tokenizer", "transformer"] as const) {
      await train(once, stage, { output: base });
    }
    const name = config.model.files.transformer;
    const lora = { rank: 4, alpha: null, layers: "all" as const };
    const options = { steps: 3, batch: 2, lora, text_encoder: "frozen" as const };
    const adapters = async (init: string) => {
      const output = join(folder, `lora of ${basename(init)}`);
      const tuning = { ...config, init, transformer: { ...config.transformer, ...options } };
      const { files: [path] } = await train(tuning, "transformer", { output });
      const file = await openTensorFile(path!);
      const made = await Promise.all([...file.tensors.keys()].map((key) => file.readFloat32(key)));
      file.close();
      return made;
    };
    const copy = async (to: string) => {
      for (const { name } of [...Deno.readDirSync(base)].filter(({ isFile }) => isFile)) {
        await Deno.mkdir(join(folder, to, "text_encoder"), { recursive: true });
        await Deno.copyFile(join(base, name), join(folder, to, name));
      }
      const text = config.model.files.text_encoder;
      await Deno.copyFile(join(base, text), join(folder, to, text));
      return join(folder, to);
    };
    for (const type of ["f16", "q8_0", "q4_0"] as const) {
      const [stored, wide] = [await copy(type), await copy(`${type} as f32`)];
      await convertFile(join(base, name), join(stored, name), { type });
      await widenFile(join(stored, name), join(wide, name));
      const [expected, made] = [await adapters(wide), await adapters(stored)];
      assertEquals(made, expected, type);
      assert(made.some((values) => values.some((v) => v !== 0)));
    }
  }));
