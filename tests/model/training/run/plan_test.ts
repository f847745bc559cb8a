import { assert, assertEquals, assertRejects } from "@std/assert";
import { Device, OutOfMemoryError } from "../../../../engine/mod.ts";
import { activation } from "../../../../model/training/ops/activation.ts";
import {
  fitStep,
  planStep,
  type StepSize,
  stepTooLarge,
} from "../../../../model/training/run/plan.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import type { Pass, PassResult } from "../../../../model/training/run/task.ts";
import type { Tape } from "../../../../model/training/tape/tape.ts";
import { device } from "../../../harness.ts";
import { OPTIONS, Toy } from "./toy.ts";

/** A toy with a deeper part, which may be computed again. */
class Deep extends Toy {
  constructor(device: Device, private readonly size: StepSize) {
    super(device, size.batch);
  }

  override compute(tape: Tape, pass: Pass): PassResult {
    const deep = (inner: Tape) => {
      let x = this.parameters.get("first");
      for (let i = 0; i < 8; i++) x = activation(inner, x, "silu");
      return x;
    };
    const y = this.size.recompute ? tape.recompute(deep) : deep(tape);
    y.take(this.device.from("f32", y.value.shape, new Float32Array(y.value.elements)));
    return super.compute(tape, pass);
  }
}

const plan = (size: StepSize) => planStep(device, (dry) => new Deep(dry, size), OPTIONS);

Deno.test("planStep() tells what a training holds, within 5 percent", async () => {
  for (const recompute of [false, true]) {
    const size = { batch: 200, recompute };
    const planned = await plan(size);
    using fresh = await Device.open();
    const task = new Deep(fresh, size);
    using trainer = new Trainer(fresh, task, { ...OPTIONS, steps: 6 });
    await trainer.run();
    const { peakBytes } = fresh.memory;
    assert(Math.abs(planned / peakBytes - 1) < 0.05, `planned ${planned}, held ${peakBytes}`);
  }
  assert(
    await plan({ batch: 200, recompute: true }) < await plan({ batch: 200, recompute: false }),
  );
});

Deno.test("fitStep() says which batch would fit, and what recompute does", async () => {
  const bytes = ({ batch, recompute }: StepSize) =>
    Promise.resolve(1e6 + batch * (recompute ? 1e5 : 4e5));
  const message = async (size: StepSize, budget: number) => {
    const error = await assertRejects(() => fitStep(bytes, size, budget, "net"), OutOfMemoryError);
    assertEquals([error.code, error.hint], ["step-too-large", "smaller-batch"]);
    return error.message;
  };
  assertEquals(await fitStep(bytes, { batch: 10, recompute: false }, 5e6, "net"), 5e6);
  const plain = { batch: 64, recompute: false };
  assertEquals(
    await message(plain, 5e6),
    "Cannot train the net with batch 64: a step needs 27 MB, and there are 5 MB; batch 10 or batch 40 with " +
      "recompute would fit",
  );
  assertEquals(
    await message({ batch: 64, recompute: true }, 5e6),
    "Cannot train the net with batch 64 and recompute: a step needs 7.4 MB, and there are 5 MB; batch 40 with " +
      "recompute would fit",
  );
  assertEquals(
    await message(plain, 1.2e6),
    "Cannot train the net with batch 64: a step needs 27 MB, and there are 1.2 MB; batch 2 with recompute would fit",
  );
  assert((await message(plain, 1e6)).endsWith("use a smaller model"));
});

Deno.test("stepTooLarge() says which batch has tensors that an adapter can bind", async () => {
  const cause = new OutOfMemoryError("binding-too-large", "Cannot allocate: too large");
  const bytes = ({ batch, recompute }: StepSize) =>
    batch > (recompute ? 21 : 20) ? Promise.reject(cause) : Promise.resolve(1);
  const size = { batch: 128, recompute: false };
  const error = await stepTooLarge(bytes, size, Infinity, { stage: "net", cause });
  const before = await assertRejects(() => fitStep(bytes, size, 1e9, "net"), OutOfMemoryError);
  assertEquals(before.message, error.message);
  const whole = await assertRejects(() => fitStep(bytes, size, Infinity, "net"), OutOfMemoryError);
  assertEquals(whole.message, error.message);
  assertEquals(
    error.message,
    "Cannot train the net with batch 128: a tensor of a step exceeds one binding of this adapter; batch 20 or " +
      "batch 21 with recompute would fit",
  );
  assertEquals(error.cause, cause);
});
