import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import type { StepReport } from "../../../../model/training/run/report.ts";
import type { Pass, PassResult } from "../../../../model/training/run/task.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import type { TrainerOptions } from "../../../../model/training/run/trainer_options.ts";
import { TrainingError } from "../../../../model/training/run/training_error.ts";
import { activation } from "../../../../model/training/ops/activation.ts";
import type { Tape } from "../../../../model/training/tape/tape.ts";
import { assertNear, device, NEED_F16 } from "../../../harness.ts";
import { OPTIONS, Toy } from "./toy.ts";
import { inTime } from "../../../in_time.ts";

/** Trains a toy, and returns its parameters and reports. */
async function train(changes: Partial<TrainerOptions> = {}, toy = new Toy(device)) {
  using _ = toy;
  const reports: StepReport[] = [];
  const options = { ...OPTIONS, onReport: (report: StepReport) => void reports.push(report) };
  using trainer = new Trainer(device, toy, { ...options, ...changes });
  const result = await trainer.run();
  return { result, reports, values: await toy.read(), passes: toy.passes };
}

Deno.test("Trainer lowers the loss, reports every few steps, and frees its memory", async () => {
  const live = device.memory.liveBytes;
  const reads = device.readBacks;
  const { result, reports } = await train({ steps: 45, every: 10 });
  // one for each eight steps, and one of the test; a slow adapter makes more
  const fewest = Math.ceil(45 / 8) + 1;
  assert(device.readBacks - reads < fewest + 5, `${device.readBacks - reads}`);
  assertEquals(device.memory.liveBytes, live);
  assertEquals(result.step, 45);
  assertEquals(reports.map(({ step }) => step), [10, 20, 30, 40, 45]);
  const losses = reports.map(({ loss }) => loss);
  assertEquals(losses, losses.toSorted((a, b) => b - a));
  assert(losses.at(-1)! < 0.85 * losses[0]!, `${losses}`);
  for (const { metrics, imagesPerSecond, tokensPerSecond, gradientNorm, skipped } of reports) {
    assertEquals(metrics.loss!.length, 12);
    assertAlmostEquals(tokensPerSecond / imagesPerSecond, 5, 1e-9);
    assert(gradientNorm > 0 && skipped === 0);
  }
  // 4 of the 40 steps that follow the warm-up
  assertAlmostEquals(reports[0]!.learningRate, 0.05 * (0.1 + 0.45 * (1 + Math.cos(Math.PI * 0.1))));
});

Deno.test("Trainer reaches the whole learning rate, and falls from there, by steps and by the clock", async () => {
  const rates = async (changes: Partial<TrainerOptions>) => {
    const { reports } = await train(changes);
    return reports.map(({ learningRate }) => learningRate);
  };
  const schedule = { ...OPTIONS.schedule, warmup: 18 };
  const bySteps = await rates({ steps: 20, schedule });
  assertAlmostEquals(Math.max(...bySteps), 0.05);
  assertEquals(bySteps.indexOf(Math.max(...bySteps)), 17);
  assertAlmostEquals(bySteps[19]!, 0.05 * 0.55); // half of what follows
  const { peak } = schedule;
  assertEquals(await rates({ steps: 2, schedule }), [peak / 18, peak / 9]);
  const byClock = await rates({ steps: null, minutes: 1 / 60, schedule });
  assertAlmostEquals(Math.max(...byClock), 0.05);
  assert(byClock.at(-1)! < 0.02, `${byClock}`);
});

Deno.test("Trainer makes the same bytes of the same seed in 50 steps", async () => {
  const first = await train({ steps: 50, every: 10 });
  const second = await train({ steps: 50, every: 7 });
  assertEquals(second.values, first.values);
});

Deno.test("Trainer takes the mean over accumulated passes", async () => {
  const same = (accumulate: number) => {
    const toy = new Toy(device);
    const compute = toy.compute.bind(toy);
    toy.compute = (tape, pass) => compute(tape, { ...pass, micro: 0 });
    return train({ accumulate }, toy);
  };
  const [one, three] = [await same(1), await same(3)];
  assertEquals(three.passes.length, 60);
  three.values.forEach((values, i) => assertNear(values, one.values[i]!, 1e-5));
  three.reports.forEach(({ loss, imagesPerSecond }, i) => {
    assertAlmostEquals(loss, one.reports[i]!.loss, 1e-6);
    assert(imagesPerSecond > 0);
  });
  const { values } = await train({ accumulate: 3 });
  assert(values[0]!.some((value, i) => value !== three.values[0]![i]), "passes differ");
});

Deno.test("Trainer ends by the clock", async () => {
  const run = () => train({ steps: null, minutes: 0.5 / 60, every: 3 });
  const { result, passes } = await inTime(3000, run);
  assert(result.step > 3 && result.seconds >= 0.5 && result.seconds < 3);
  const progress = passes.map((pass) => pass.progress);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assert(progress.every((share) => share >= 0 && share < 1));
});

Deno.test("Trainer stops at NaN, keeps the parameters before it, and names where it began", async () => {
  const sound = await train({ steps: 7, schedule: { ...OPTIONS.schedule, shape: "constant" } });
  const toy = new Toy(device);
  toy.change = (x, { step }) => {
    if (step === 7) x[3] = NaN;
  };
  const steps: number[] = [];
  using trainer = new Trainer(device, toy, {
    ...OPTIONS,
    every: 5,
    schedule: { ...OPTIONS.schedule, shape: "constant" },
    onReport: ({ step }) => void steps.push(step),
  });
  const error = await assertRejects(() => trainer.run(), TrainingError);
  assertEquals([error.code, error.step], ["not-finite", 8]);
  assertEquals(error.operation, "add in Toy.compute");
  assertEquals(error.parameters, ["first"]);
  assertEquals(
    error.message,
    "Cannot train on: not all numbers of step 8 are finite; an input of add in Toy.compute is the " +
      "first that is not, with first; begin again with a lower learning rate",
  );
  assertEquals(steps, [5, 7]);
  assertEquals(await toy.read(), sound.values);
  toy[Symbol.dispose]();
});

/** A toy whose loss is finite when a gradient is not. */
class Broken extends Toy {
  override compute(tape: Tape, pass: Pass): PassResult {
    const result = super.compute(tape, pass);
    if (pass.step === 3) root(tape, this);
    return result;
  }
}

/** An operation with a gradient of infinity. */
function root(tape: Tape, { device, parameters }: Toy): void {
  const second = parameters.get("second");
  const zero = device.from("f32", second.value.shape, new Float32Array(second.value.elements));
  const y = tape.record(zero, [second], (dy) => {
    device.upload(dy, new Float32Array(dy.elements).fill(Infinity));
    second.take(dy);
  });
  const gradient = new Float32Array(y.value.elements).fill(1);
  y.take(device.from("f32", y.value.shape, gradient));
}

Deno.test("Trainer names the operation that sent a gradient which is not finite", async () => {
  const error = await assertRejects(() => train({}, new Broken(device)), TrainingError);
  assertEquals([error.step, error.operation], [4, "root in Broken.compute"]);
  assertEquals(error.parameters, ["second"]);
});

Deno.test("Trainer says which parameter was not finite from the beginning", async () => {
  const toy = new Toy(device);
  device.upload(toy.parameters.get("second").value, Float32Array.of(1, Infinity));
  const error = await assertRejects(() => train({}, toy), TrainingError, "the parameter second");
  assertEquals([error.step, error.operation], [1, null]);
});

Deno.test({
  name:
    `Trainer with f16 leaves out a step whose gradients overflow, and scales the loss less${NEED_F16}`,
  ignore: NEED_F16 !== "",
  async fn() {
    class Large extends Toy {
      override compute(tape: Tape, pass: Pass): PassResult {
        const result = super.compute(tape, pass);
        // two gradients that f16 holds, and whose sum it does not, above some scale of the loss
        const y = activation(tape, this.parameters.get("first"), "gelu");
        const { shape, elements } = y.value;
        const half = new Float16Array(elements).fill(tape.lossScale > 512 ? 40000 : 0);
        for (let i = 0; i < 2; i++) y.take(device.from("f16", shape, half));
        return result;
      }
    }
    const { reports } = await train({ dtype: "f16", steps: 60 }, new Large(device));
    assertEquals(reports.map(({ lossScale }) => lossScale).at(-1), 512);
    const skipped = reports.reduce((sum, report) => sum + report.skipped, 0);
    assert(skipped >= 2 && skipped < 50, `${skipped} steps`);
    assert(reports.at(-1)!.loss < reports[0]!.loss);
  },
});

Deno.test({
  name: `Trainer with f16 gives up when no scale of the loss is small enough${NEED_F16}`,
  ignore: NEED_F16 !== "",
  async fn() {
    const options = { dtype: "f16", lossScale: 2, steps: 100 } as const;
    class Always extends Toy {
      override compute(tape: Tape, pass: Pass): PassResult {
        const result = super.compute(tape, pass);
        root(tape, this);
        return result;
      }
    }
    const toy = new Always(device);
    const before = await toy.read();
    using trainer = new Trainer(device, toy, { ...OPTIONS, ...options });
    const error = await assertRejects(() => trainer.run(), TrainingError);
    assertEquals(error.operation, "root in Always.compute");
    assertEquals(await toy.read(), before);
    toy[Symbol.dispose]();
  },
});

Deno.test("Trainer pauses for samples at the steps that are asked for, with nothing under way", async () => {
  const toy = new Toy(device);
  const paused: [number, number][] = [];
  let reported = 0;
  using trainer = new Trainer(device, toy, {
    ...OPTIONS,
    steps: 30,
    every: 1,
    onReport: ({ step }) => void (reported = step),
    pause: {
      every: 12,
      run: async (step) => {
        paused.push([step, reported]);
        assertEquals((await toy.read()).flat().every(Number.isFinite), true);
      },
    },
  });
  await trainer.run();
  assertEquals(paused, [[12, 12], [24, 24]]);
  toy[Symbol.dispose]();
});

Deno.test("Trainer passes on what a report's listener throws", async () => {
  const onReport = () => {
    throw new RangeError("enough");
  };
  await assertRejects(() => train({ onReport }), RangeError, "enough");
});

Deno.test("Trainer refuses metrics that change", async () => {
  class Changing extends Toy {
    override compute(tape: Tape, pass: Pass): PassResult {
      const { metrics: { loss }, ...rest } = super.compute(tape, pass);
      return { ...rest, metrics: { loss: pass.step === 2 ? loss.rows(0, 1) : loss } };
    }
  }
  await assertRejects(() => train({}, new Changing(device)), Error, "Cannot take the metric loss");
});
