import { assertEquals, assertRejects } from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { takeScales } from "../../../model/bits/image_bits.ts";
import type { Step } from "../../../model/generate/options.ts";
import { device } from "../../harness.ts";
import { PATCHIFY } from "../checkpoint/patchify_config.ts";
import { NANO } from "../../nano.ts";

const model = await InfinityModel.load(NANO, { device });

Deno.test("stream() yields the bits of each scale, and returns what generate() returns", async () => {
  const patched = await InfinityModel.synthetic(PATCHIFY, { device });
  for (const [of, prompt] of [[model, ["rocket", "pizza"]], [patched, ["a", "b"]]] as const) {
    const { images } = await of.generate({ prompt, seed: 5 });
    const scales = images[0]!.bits.schedule.length;
    for (const preview of [false, true]) {
      const steps: Step[] = [];
      const stream = of.stream({ prompt, seed: 5, preview });
      let next = await stream.next();
      for (; !next.done; next = await stream.next()) steps.push(next.value);
      assertEquals(steps.map(({ scale }) => scale), [...Array(scales).keys()]);
      for (const [i, image] of images.entries()) {
        assertEquals(next.value.images[i]!.rgba, image.rgba);
        assertEquals(next.value.images[i]!.bits, image.bits);
        for (const { bits, scale, scales: all } of steps) {
          assertEquals(bits[i], takeScales(image.bits, scale + 1));
          assertEquals(all, scales);
        }
        // lazily, long after the scale was sampled
        assertEquals((await steps.at(-1)!.image(i)).rgba, image.rgba);
        const coarse = await of.decode(takeScales(image.bits, 2));
        assertEquals((await steps[1]!.image(i)).rgba, coarse.rgba);
      }
    }
  }
  patched.dispose();
});

Deno.test("stream() reads back once per scale, and once per image unless previews come with the scales", async () => {
  const count = async (preview: boolean, show: boolean) => {
    const before = device.readBacks;
    for await (const step of model.stream({ prompt: "dog face", preview })) {
      if (show && step.scale < 3) await step.image();
    }
    return device.readBacks - before;
  };
  assertEquals(await count(false, false), 4 + 1);
  assertEquals(await count(false, true), 4 + 1 + 3);
  assertEquals(await count(true, true), 4 + 1);
});

Deno.test("JSON.stringify() of a step holds no bits", async () => {
  for await (const step of model.stream("cat")) {
    assertEquals(JSON.parse(JSON.stringify(step)), { scale: step.scale, scales: 4, images: 1 });
  }
});

Deno.test("stream() can be left early; then other calls proceed", async () => {
  await model.generate({ prompt: "pizza" });
  const live = device.memory.liveBytes;
  let last: Step | undefined;
  for await (const step of model.stream("red apple")) {
    last = step;
    if (step.scale === 1) break;
  }
  assertEquals(device.memory.liveBytes, live);
  const { images } = await model.generate({ prompt: "red apple" });
  assertEquals(last!.bits[0], takeScales(images[0]!.bits, 2));
});

Deno.test("stream() lets the loop decode and encode, while generate() waits for its end", async () => {
  const order: string[] = [];
  const stream = model.stream("red apple");
  await stream.next();
  const other = model.generate({ prompt: "pizza" }).then(() => order.push("generate"));
  for await (const step of stream) {
    const image = await model.decode(step.bits[0]!);
    await model.encode(image);
    order.push("step");
  }
  await other;
  assertEquals(order, ["step", "step", "step", "generate"]);
});

Deno.test("stream() ends at an abort, and says what is wrong as generate() does", async () => {
  const live = device.memory.liveBytes;
  const controller = new AbortController();
  const reason = new Error("enough");
  const steps: number[] = [];
  const run = async () => {
    for await (const { scale } of model.stream({ prompt: "cat", signal: controller.signal })) {
      steps.push(scale);
      if (scale === 1) controller.abort(reason);
    }
  };
  assertEquals(await assertRejects(run), reason);
  assertEquals(steps, [0, 1]);
  await assertRejects(
    () => model.stream("").next(),
    InputError,
    "Cannot generate from an empty prompt",
  );
  for await (const step of model.stream("cat")) {
    await assertRejects(
      () => step.image(1),
      InputError,
      "Cannot decode image 1: there are 1, counted from 0",
    );
    break;
  }
  assertEquals(device.memory.liveBytes, live);
});

Deno.test("stream() gives the model back once its signal aborts, even if nobody continues it", async () => {
  await model.generate({ prompt: "pizza" });
  const live = device.memory.liveBytes;
  for (const steps of [1, 2, 4]) {
    const controller = new AbortController();
    const stream = model.stream({ prompt: "red apple", signal: controller.signal, preview: true });
    for (let i = 0; i < steps; i++) await stream.next();
    const waiting = model.generate({ prompt: "pizza", seed: 3 });
    const reason = new Error("enough");
    controller.abort(reason);
    assertEquals((await waiting).images.length, 1);
    assertEquals(device.memory.liveBytes, live);
    assertEquals(await assertRejects(() => stream.next()), reason);
    assertEquals((await stream.next()).done, true);
  }
});

Deno.test("generate(), edit() and stream() that wait reject as soon as they are aborted, or if they are wrong", async () => {
  const { images: [image] } = await model.generate({ prompt: "pizza" });
  const stream = model.stream("red apple");
  await stream.next();
  const reason = new Error("enough");
  const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => model.generate("cat", { signal }),
    (signal) => model.edit(image!, { prompt: "cat", signal }),
    (signal) => model.stream("cat", { signal }).next(),
  ];
  for (const call of calls) {
    const controller = new AbortController();
    const waiting = call(controller.signal);
    controller.abort(reason);
    assertEquals(await assertRejects(() => waiting), reason);
    assertEquals(await assertRejects(() => call(controller.signal)), reason);
  }
  await assertRejects(() => model.generate("cat", { tau: "hot" as unknown as number }), InputError);
  assertEquals((await stream.next()).value!.constructor, Object, "the stream goes on");
  await stream.return(undefined as never);
});

Deno.test("stream() works in stages, and loads the VAE beside the transformer only for previews", async () => {
  const { images } = await model.generate({ prompt: "rocket", seed: 2 });
  using staged = await InfinityModel.load(NANO, { device, staged: true });
  const live = device.memory.liveBytes;
  for (const preview of [false, true]) {
    for await (const step of staged.stream({ prompt: "rocket", seed: 2, preview })) {
      assertEquals((await step.image()).width, 32);
      if (step.scale === 3) assertEquals((await step.image()).rgba, images[0]!.rgba);
    }
    assertEquals(device.memory.liveBytes, live);
  }
});
