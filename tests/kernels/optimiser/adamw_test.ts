import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { adamw } from "../../../kernels/optimiser/adamw.ts";
import { assertNear, assertTensor, device, poisoned, random, upload, values } from "../harness.ts";
import * as reference from "./references.ts";
import { makeStatus } from "./status.ts";

const betas = [0.9, 0.97] as const;

/** Random parameters that were updated before. */
function makeState(seed: number, count: number): reference.State {
  const next = random(seed);
  const [value, grad, m, ema] = [0, 1, 2, 3].map(() => values(next, count)) as Float64Array[];
  return { value: value!, grad: grad!, m: m!, v: values(next, count).map(Math.abs), ema: ema! };
}

Deno.test("adamw() updates parameters, moments and averages, and clears gradients", async () => {
  for (const count of [1, 5, 64, 1003, 4096]) {
    for (const withEma of [true, false]) {
      for (const decay of [0, 0.05]) {
        const state = makeState(count, count);
        const update = { factor: 0.25, rate: 2e-3, decay, betas, eps: 1e-8, n: 3, ema: 0.99 };
        const [value, grad, m, v, ema] = [state.value, state.grad, state.m, state.v, state.ema]
          .map((data) => upload("f32", [count], data));
        const status = makeStatus({
          FACTOR: 0.25,
          CORRECTION1: 1 - 0.9 ** 3,
          CORRECTION2: 1 - 0.97 ** 3,
          EMA_REST: 1 - reference.emaDecay(0.99, 3),
        });
        const before = state.value.slice();
        adamw(device, {
          status,
          value: value!,
          grad: grad!,
          m: m!,
          v: v!,
          ema: withEma ? ema! : null,
          rate: 2e-3,
          decay,
          betas,
          eps: 1e-8,
        });
        const average = state.ema.slice();
        reference.adamw(state, update);
        await assertTensor(value!, state.value, 2e-7);
        // the change, of which the rounding of the value keeps few digits
        const change = (await device.read(value!)).map((now, i) => now - before[i]!);
        assertNear(change, state.value.map((now, i) => now - before[i]!), 1e-4);
        await assertTensor(m!, state.m, 2e-7);
        await assertTensor(v!, state.v, 2e-7);
        await assertTensor(ema!, withEma ? state.ema : average, 2e-7);
        assertEquals(await device.read(grad!), new Float32Array(count));
      }
    }
  }
});

Deno.test("adamw() changes nothing but the gradient of a step without an update", async () => {
  const state = makeState(1, 6);
  const status = makeStatus({ SKIP: 1, FACTOR: 1, CORRECTION1: 1, CORRECTION2: 1 });
  const grad = upload("f32", [6], state.grad.with(2, NaN));
  const [value, m, v, ema] = [state.value, state.m, state.v, state.ema]
    .map((data) => upload("f32", [6], data));
  const args = { status, grad, rate: 1, decay: 0.1, betas, eps: 1e-8 };
  adamw(device, { ...args, value: value!, m: m!, v: v!, ema: ema! });
  const kept = await device.readAll([value!, m!, v!, ema!]);
  assertEquals(kept.map((data) => Float64Array.from(data)), [
    state.value,
    state.m,
    state.v,
    state.ema,
  ]);
  assertEquals(await device.read(grad), new Float32Array(6));
});

Deno.test("adamw() writes nothing beyond views, and refuses sizes that disagree", async () => {
  const pages = [0, 1, 2, 3].map(() => {
    const page = poisoned("f32", [8]);
    device.upload(page, new Float32Array(5));
    return page;
  });
  const [value, grad, m, v] = pages.map((page) => page.rows(0, 5));
  const status = makeStatus({ FACTOR: 1, CORRECTION1: 1, CORRECTION2: 1 });
  const args = { status, rate: 1, decay: 0, betas, eps: 1e-8, ema: null };
  adamw(device, { ...args, value: value!, grad: grad!, m: m!, v: v! });
  for (const page of pages) {
    assertEquals([...await device.read(page)], [0, 0, 0, 0, 0, NaN, NaN, NaN]);
  }
  assertThrows(
    () => adamw(device, { ...args, value: value!, grad: grad!, m: m!, v: pages[3]! }),
    KernelError,
    "Cannot update f32 [5], f32 [5], f32 [5], f32 [8]",
  );
});
