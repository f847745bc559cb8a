import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { CheckpointError, encodeSafetensors, FileError } from "../../../../engine/mod.ts";
import { openTensorFile } from "../../../../model/checkpoint/files.ts";
import { saveCheckpoint } from "../../../../model/training/run/checkpoint.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import type { TrainerOptions } from "../../../../model/training/run/trainer_options.ts";
import { TrainingError } from "../../../../model/training/run/training_error.ts";
import { inFolder } from "../../../commands/process.ts";
import { DAWN } from "../../../backend.ts";
import { smallDisk } from "../../checkpoint/small_disk.ts";
import { assertNear, device } from "../../../harness.ts";
import { OPTIONS, Toy } from "./toy.ts";

const MAIN = fromFileUrl(new URL("toy_main.ts", import.meta.url));

/** A trainer, its toy, and what it reported: loss by step. */
function make(changes: Partial<TrainerOptions> = {}, toy = new Toy(device)) {
  const losses = new Map<number, number>();
  const trainer = new Trainer(device, toy, {
    ...OPTIONS,
    ...changes,
    onReport: (report) => {
      losses.set(report.step, report.loss);
      return changes.onReport?.(report);
    },
  });
  const stack = new DisposableStack();
  stack.use(toy);
  stack.use(trainer);
  return { toy, trainer, losses, [Symbol.dispose]: () => stack.dispose() };
}

Deno.test("Trainer makes a checkpoint when it is aborted, and goes on from it to the same bytes", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    const steps = 60;
    using whole = make({ steps });
    await whole.trainer.run();
    const controller = new AbortController();
    using first = make({
      steps,
      checkpoint: { path, every: 100 },
      signal: controller.signal,
      onReport: ({ step }) => {
        if (step === 8) controller.abort(new RangeError("that will do"));
      },
    });
    await assertRejects(() => first.trainer.run(), RangeError, "that will do");
    const { step } = first.trainer;
    assert(step >= 8 && step < 60, `${step}`);
    using second = make({ steps, checkpoint: { path, every: 100 } });
    await second.trainer.resume(path);
    assertEquals(second.trainer.step, step);
    assertEquals(second.trainer.seconds, JSON.parse((await metadata(path)).state!).seconds);
    await second.trainer.run();
    assertEquals(await second.toy.read(), await whole.toy.read());
    assertEquals(second.losses.get(60), whole.losses.get(60));
    assertEquals(JSON.parse((await metadata(path)).state!).step, 60);
  }));

Deno.test("Trainer goes on with the warm-up and the scale of the loss that it had", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    const options = { steps: 12, dtype: "f16", checkpoint: { path, every: 3 } } as const;
    using first = make(options);
    await first.trainer.run();
    const state = JSON.parse((await metadata(path)).state!);
    assertEquals([state.step, state.lossScale, state.sound], [12, 2048, 12]);
    assert(state.warm > 0 && state.warm < state.seconds, JSON.stringify(state));
    using second = make({ ...options, steps: 16 });
    await second.trainer.resume(path);
    await second.trainer.run();
    const later = JSON.parse((await metadata(path)).state!);
    assertEquals([later.step, later.sound, later.warm], [16, 16, state.warm]);
  }));

Deno.test("Trainer makes a checkpoint of complete steps when their data fail", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    const toy = new Toy(device);
    let last = 0;
    toy.change = (_, { step }) => {
      if (step === last) throw new RangeError("a broken image");
    };
    using made = make({ checkpoint: { path, every: 100 } }, toy);
    await assertRejects(() => made.trainer.run(), RangeError, "a broken image");
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound); // no step was done
    last = 7;
    await assertRejects(() => made.trainer.run(), RangeError, "a broken image");
    assertEquals(JSON.parse((await metadata(path)).state!).step, 7);
  }));

Deno.test("Trainer makes a checkpoint of complete steps when their data are aborted", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    using whole = make({ accumulate: 2 });
    await whole.trainer.run();
    const controller = new AbortController();
    const toy = new Toy(device);
    toy.change = (_, { step, micro }) => {
      if (step !== 7 || micro !== 1) return;
      controller.abort(new RangeError("no more data"));
      controller.signal.throwIfAborted();
    };
    const { signal } = controller;
    using first = make({ accumulate: 2, checkpoint: { path, every: 100 }, signal }, toy);
    await assertRejects(() => first.trainer.run(), RangeError, "no more data");
    assertEquals(JSON.parse((await metadata(path)).state!).step, 7);
    assertEquals([...first.losses.keys()], [1, 2, 3, 4, 5, 6, 7]);
    using second = make({ accumulate: 2 });
    await second.trainer.resume(path);
    await second.trainer.run();
    assertEquals(await second.toy.read(), await whole.toy.read());
  }));

Deno.test("Trainer goes on after an error of its task as if there had been none", async () => {
  using whole = make({ accumulate: 2 });
  await whole.trainer.run();
  const toy = new Toy(device);
  let broken = true;
  toy.change = (_, { step, micro }) => {
    if (broken && step === 7 && micro === 1) throw new RangeError("a broken image");
  };
  using made = make({ accumulate: 2 }, toy);
  await assertRejects(() => made.trainer.run(), RangeError, "a broken image");
  broken = false;
  await made.trainer.run();
  assertEquals(await made.toy.read(), await whole.toy.read());
  assertEquals(made.losses, whole.losses);
});

async function metadata(path: string): Promise<Readonly<Record<string, string>>> {
  const file = await openTensorFile(path);
  file.close();
  return file.metadata;
}

Deno.test("A checkpoint holds values, moments and averages by the names of parameters", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    using made = make({ checkpoint: { path, every: 100 } });
    await made.trainer.run();
    const file = await openTensorFile(path);
    const kinds = ["ema", "m", "v", "value"];
    assertEquals(
      [...file.tensors.keys()].sort(),
      kinds.flatMap((kind) => [`${kind}/first`, `${kind}/second`]),
    );
    const { m, v, ema } = made.trainer.optimiser.moments("first");
    const { value } = made.toy.parameters.get("first");
    for (const [kind, tensor] of Object.entries({ m, v, ema, value })) {
      assertEquals(file.get(`${kind}/first`).shape, [2, 5, 4]);
      assertEquals(await file.read(`${kind}/first`), await device.read(tensor!));
    }
    file.close();
  }));

Deno.test("saveCheckpoint() writes the same file however little it reads at a time", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    using made = make();
    await made.trainer.run();
    const { optimiser } = made.trainer;
    const progress = { step: 20, seconds: 1, warm: 0.5, lossScale: 1, sound: 3 };
    const write = async (chunk?: number) => {
      const args = { optimiser, progress, config: null, ...chunk ? { chunk } : {} };
      await saveCheckpoint(device, path, args);
      return await Deno.readFile(path);
    };
    const whole = await write();
    for (const chunk of [1000, 40, 17]) assertEquals(await write(chunk), whole, `${chunk}`);
  }));

Deno.test("Trainer refuses a checkpoint of other settings, shows which, and takes it if it may", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    using made = make({ checkpoint: { path, every: 100 } });
    await made.trainer.run();
    const config = { seed: 8, batch: 2, nested: { list: [1] } };
    using other = make({ config, steps: 22 });
    const before = await other.toy.read();
    const error = await assertRejects(() => other.trainer.resume(path), CheckpointError);
    assertEquals(error.code, "other-config");
    assertEquals(
      error.message,
      `Cannot go on from "${path}": seed was 7 and is 8, nested was absent and is {"list":[1]}; ` +
        "use the settings it began with, or allow others",
    );
    assertEquals(await other.toy.read(), before);
    await assertRejects(() => other.trainer.resume(path, { free: ["seed"] }), CheckpointError);
    await other.trainer.resume(path, { free: ["seed", "nested"] });
    assertEquals(other.trainer.step, 20);
    using any = make({ config });
    await any.trainer.resume(path, { anyConfig: true });
    assertEquals(await any.toy.read(), await made.toy.read());
  }));

Deno.test("Trainer refuses a checkpoint whose metadata are damaged", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    using made = make();
    const state = { step: 5, seconds: 1, lossScale: 1, status: Array(8).fill(0) };
    const config = JSON.stringify(OPTIONS.config);
    const bad: Record<string, string>[] = [
      {},
      { state: "{", config },
      { state: "null", config },
      { state: JSON.stringify(state), config: "" },
      ...Object.entries({
        step: -1,
        seconds: null,
        warm: -1,
        lossScale: 0,
        sound: 0.5,
        status: [1, 2],
      }).map((
        change,
      ) => ({
        state: JSON.stringify({ ...state, ...Object.fromEntries([change]) }),
        config,
      })),
      { state: JSON.stringify({ ...state, status: Array(8).fill(-1) }), config },
    ];
    for (const metadata of bad) {
      const bytes = encodeSafetensors([], { format: "bitwise training 1", ...metadata });
      await Deno.writeFile(path, bytes);
      const error = await assertRejects(() => made.trainer.resume(path), CheckpointError);
      assertEquals(error.code, "damaged-checkpoint", JSON.stringify(metadata));
    }
    await Deno.writeFile(path, (await Deno.readFile(path)).subarray(0, 20));
    const error = await assertRejects(() => made.trainer.resume(path), CheckpointError);
    assertStringIncludes(error.message, "it is damaged; begin anew, or from another checkpoint");
  }));

Deno.test("Trainer refuses a checkpoint of other parameters, and other files", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    using made = make({ checkpoint: { path, every: 100 } });
    await made.trainer.run();
    using larger = make({}, new Toy(device, 3));
    const refused = await assertRejects(() => larger.trainer.resume(path), CheckpointError);
    assertEquals(refused.code, "other-parameters");
    assert(refused.message.includes("value/first is F32 [2,5,4], not F32 [3,5,4]"));
    using plain = make({ optimiser: {} });
    await assertRejects(
      () => plain.trainer.resume(path),
      CheckpointError,
      "it has ema/first besides",
    );
    const weights = fromFileUrl(
      new URL("../../../../assets/models/emoji-nano/vae.safetensors", import.meta.url),
    );
    await assertRejects(() => plain.trainer.resume(weights), CheckpointError, "not a checkpoint");
    await assertRejects(() => plain.trainer.resume(join(folder, "none")), FileError);
  }));

Deno.test("Trainer keeps the last checkpoint of finite numbers", () =>
  inFolder(async (folder) => {
    const path = join(folder, "toy.safetensors");
    const toy = new Toy(device);
    toy.change = (x, { step }) => {
      if (step === 13) x[0] = Infinity;
    };
    using made = make({ checkpoint: { path, every: 5 }, every: 4 }, toy);
    const error = await assertRejects(() => made.trainer.run(), TrainingError);
    assertEquals(error.step, 14);
    assertStringIncludes(error.message, "go on from the last checkpoint");
    assertEquals(JSON.parse((await metadata(path)).state!).step, 10);
  }));

Deno.test("Trainer keeps the previous checkpoint on a full disk", () =>
  inFolder(async (top) => {
    const folder = join(top, "disk");
    await using disk = await smallDisk(folder, 32_768);
    const path = join(folder, "toy.safetensors");
    using large = make({ checkpoint: { path, every: 5 } }, new Toy(device, 100));
    await Deno.writeTextFile(path, "previous");
    const error = await assertRejects(() => large.trainer.run(), FileError);
    assertEquals([error.code, large.trainer.step], ["disk-full", 5]);
    assertEquals(await Deno.readTextFile(path), "previous");
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["toy.safetensors"]);
    await disk.enlarge();
    await large.trainer.run();
    assertEquals(JSON.parse((await metadata(path)).state!).step, 20);
  }));

/** Runs a toy in a process, and kills it after a step, if one is given. */
async function runToy(path: string, resume: boolean, killAfter?: number) {
  const flags = [
    "run",
    "-A",
    "--no-lock",
    "--preload",
    fromFileUrl(import.meta.resolve("../../../backend.ts")),
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...flags, MAIN, path, ...resume ? ["resume"] : []],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const losses = new Map<number, number>();
  let values: number[][] | null = null;
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      const json = JSON.parse(line);
      if (json.values) values = json.values;
      else losses.set(json.step, json.loss);
      if (json.step === killAfter) child.kill("SIGKILL");
    }
  }
  await child.status;
  return { losses, values };
}

Deno.test(
  "A training that was killed goes on with the same curve",
  { ignore: DAWN },
  () =>
    inFolder(async (folder) => {
      const whole = await runToy(join(folder, "whole.safetensors"), false);
      assertEquals(whole.losses.size, 40);
      const path = join(folder, "killed.safetensors");
      const killed = await runToy(path, false, 17);
      assertEquals(killed.values, null);
      const saved = JSON.parse((await metadata(path)).state!).step;
      assert(saved >= 10 && saved < 40, `${saved}`);
      const rest = await runToy(path, true);
      assertEquals([...rest.losses.keys()][0], saved + 1);
      for (const [step, loss] of [...killed.losses, ...rest.losses]) {
        assertNear([loss], [whole.losses.get(step)!], 1e-6, `step ${step}`);
      }
      rest.values!.forEach((values, i) => assertNear(values, whole.values![i]!, 1e-6));
    }),
);
