// Fails each WebGPU call in turn. Holds on every adapter and both implementations: what fails is decided here, and a
// device that is lost is destroyed for real. BITWISE_FAULTS=all takes every call of loading and of an image but those
// within passes, and more of the rest; otherwise a few of each kind.
import "../backend.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BitwiseError, Device, DeviceError } from "../../engine/mod.ts";
import { type ImageBits, InfinityModel } from "../../mod.ts";
import { random } from "../random.ts";
import { canFail, FaultyGpu, type Way, WAYS } from "./faulty_gpu.ts";

const ALL = Deno.env.get("BITWISE_FAULTS") === "all";
const next = random(12);

/** How many calls of each kind to fail beside the first: a few in the gate, or more. */
function some(few: number, more = 12): number {
  return ALL ? more : few;
}

/** Calls whose errors end their encoder, each like all others of its kind: some are enough. */
const ALIKE = ["setPipeline", "setBindGroup", "dispatchWorkgroups", "end"];

/** Which calls of a kind to fail, of so many. */
function chosen(count: number, few: number): number[] {
  if (few >= count) return Array.from({ length: count }, (_, n) => n);
  return [...new Set([0, ...Array.from({ length: few }, () => Math.floor(next() * count))])];
}

/** Faults in calls that were counted, by call and way. With `turns`, each call fails in one way, the next in the next. */
function faults(counts: Record<string, number>, ways: readonly Way[], few: number, turns = false) {
  return Object.entries(counts).flatMap(([call, count], i) => {
    const possible = ways.filter((way) => canFail(call, way));
    const taken = turns ? [possible[i % possible.length]!] : possible;
    const at = chosen(count, ALIKE.includes(call) ? Math.min(few, 12) : few);
    return taken.map((way) => ({ call, way, at }));
  });
}

/** What it counts is printed: a test that fails nothing must not pass unseen. */
function report(count: number, what: string): void {
  assert(count > 0);
  console.log(`${count} faults in ${what}`);
}

/** Asserts that a call rejects as it must if the GPU fails. */
async function assertFails(run: () => Promise<unknown>, way: Way, what: string): Promise<void> {
  const error = await assertRejects(run, BitwiseError, undefined, what);
  const name = way === "memory" ? "OutOfMemoryError" : "DeviceError";
  assertEquals(error.name, name, `${what}: ${error.message}`);
  if (way === "lost") assertEquals(error.code, "device-lost", `${what}: ${error.message}`);
  assert(error.message.includes("injected"), `${what}: ${error.message}`);
  assert(!/[\n\r]/.test(error.message), `${what}: ${error.message}`);
}

const OPTIONS = { prompt: "red apple", seed: 7 };
const IMAGE = { width: 32, height: 32, rgba: new Uint8Array(4096).map((_, i) => i * 31 % 256) };
let bits: ImageBits;

/** What a model can do, and how many calls of each kind to fail beside the first; each returns bytes. */
const SCENARIOS: Record<string, [few: number, run: (model: InfinityModel) => Promise<unknown>]> = {
  // waits after each scale where a GPU does
  "generate()": [some(1, Infinity), async (model) => {
    const { images } = await model.generate({ ...OPTIONS, onProgress: () => {} });
    return images.map(({ rgba }) => rgba);
  }],
  "stream()": [some(0), async (model) => {
    const images: Uint8Array[] = [];
    for await (const step of model.stream({ ...OPTIONS, preview: true })) {
      images.push((await step.image()).rgba);
    }
    return images;
  }],
  "edit()": [some(0), async (model) => {
    const { images } = await model.edit(IMAGE, { prompt: "green apple", seed: 3 });
    return images.map(({ rgba }) => rgba);
  }],
  "encode()": [some(1), async (model) => (await model.encode(IMAGE)).scales],
  "decode()": [
    some(1),
    async (model) => (await model.decode([bits, bits])).map(({ rgba }) => rgba),
  ],
};

const expected: Record<string, unknown> = {};
{
  using model = await InfinityModel.load();
  bits = await model.encode(IMAGE);
  for (const [name, [, run]] of Object.entries(SCENARIOS)) expected[name] = await run(model);
}
const generate = SCENARIOS["generate()"]![1];
const image = expected["generate()"];

/** Ways that a device survives. */
const SURVIVED = WAYS.filter((way) => way !== "lost");

for (const [name, [few, run]] of Object.entries(SCENARIOS)) {
  const turns = !ALL && run !== generate;
  Deno.test(`${name} survives each call that fails: a typed error, no byte more in use, then the same bytes`, async () => {
    const faulty = new FaultyGpu();
    using device = await Device.open({ gpu: faulty.gpu });
    using model = await InfinityModel.load(undefined, { device });
    await run(model);
    const live = device.memory.liveBytes;
    device.trim(); // as it is after a failure
    faulty.reset();
    await run(model);
    let count = 0;
    for (const { call, way, at } of faults({ ...faulty.counts }, SURVIVED, few, turns)) {
      for (const n of at) {
        const what = `${call} ${n} ${way}`;
        device.trim();
        faulty.arm(call, n, way);
        await assertFails(() => run(model), way, what);
        assert(faulty.fired, what);
        assertEquals(device.memory.liveBytes, live, what);
        assertEquals(await run(model), expected[name], what);
        count++;
      }
    }
    report(count, name);
  });
}

Deno.test("load() survives each call that fails: a typed error, no byte in use, then a model that is right", async () => {
  const faulty = new FaultyGpu();
  using device = await Device.open({ gpu: faulty.gpu });
  const load = () => InfinityModel.load(undefined, { device });
  (await load()).dispose();
  device.trim();
  faulty.reset(); // the first compiled, which the next test is about
  (await load()).dispose();
  let count = 0;
  for (const { call, way, at } of faults({ ...faulty.counts }, SURVIVED, some(1, Infinity))) {
    for (const n of at) {
      const what = `${call} ${n} ${way}`;
      device.trim();
      faulty.arm(call, n, way);
      await assertFails(load, way, what);
      assert(faulty.fired, what);
      assertEquals(device.memory.liveBytes, 0, what);
      count++;
    }
    using model = await load();
    assertEquals(await generate(model), image, `after ${call} ${way}`);
  }
  report(count, "load()");
});

Deno.test("generate() survives each shader, pipeline and layout that is refused at the first image", async () => {
  const faulty = new FaultyGpu();
  const open = async () => {
    const model = await InfinityModel.load(undefined, { gpu: faulty.gpu });
    faulty.reset();
    return model;
  };
  {
    using model = await open();
    await generate(model);
  }
  const counts = Object.fromEntries(
    Object.entries(faulty.counts).filter(([call]) => /Layout|Shader|Pipeline|View/.test(call)),
  );
  let count = 0;
  for (const { call, way, at } of faults(counts, SURVIVED, some(0, Infinity))) {
    using model = await open();
    const live = model.device.memory.liveBytes;
    for (const n of at) {
      const what = `${call} ${n} ${way}`;
      faulty.arm(call, n, way);
      await assertFails(() => generate(model), way, what);
      assert(faulty.fired, what);
      assertEquals(model.device.memory.liveBytes, live, what);
      count++;
    }
    assertEquals(await generate(model), image, `after ${call} ${way}`);
  }
  report(count, "first images");
});

Deno.test("Device.open() survives an adapter that throws or rejects", async () => {
  const faulty = new FaultyGpu();
  (await Device.open({ gpu: faulty.gpu })).dispose();
  let count = 0;
  for (const { call, way, at } of faults({ ...faulty.counts }, ["throws", "rejects"], 2)) {
    for (const n of at) {
      faulty.arm(call, n, way);
      try {
        (await Device.open({ gpu: faulty.gpu })).dispose(); // without subgroups, if it was their trial
      } catch (error) {
        const { code, message } = error as DeviceError;
        assert(
          error instanceof DeviceError && ["no-adapter", "no-device"].includes(code),
          `${error}`,
        );
        assert(!message.includes("\n"));
      }
      assert(faulty.fired);
      count++;
    }
  }
  report(count, "Device.open()");
});

Deno.test("generate() says that the device is lost, whichever call it is lost at, then and later", async () => {
  const faulty = new FaultyGpu();
  const open = () => InfinityModel.load(undefined, { gpu: faulty.gpu });
  {
    using model = await open();
    faulty.reset();
    await generate(model);
  }
  let count = 0;
  for (const { call, way, at } of faults({ ...faulty.counts }, ["lost"], some(0))) {
    for (const n of at) {
      const what = `${call} ${n} ${way}`;
      const model = await open();
      const live = model.device.memory.liveBytes;
      faulty.arm(call, n, way);
      await assertFails(() => generate(model), way, what);
      assert(faulty.fired, what);
      assertEquals(model.device.memory.liveBytes, live, what);
      await assertFails(() => generate(model), way, `after ${what}`);
      model.dispose();
      assertEquals(model.device.memory.liveBytes, 0, what);
      count++;
    }
  }
  using model = await open();
  assertEquals(await generate(model), image, "a new device works");
  report(count, "images of lost devices");
});

Deno.test("load() says that the device is lost, whichever call it is lost at", async () => {
  const faulty = new FaultyGpu();
  (await InfinityModel.load(undefined, { gpu: faulty.gpu })).dispose();
  let count = 0;
  for (const { call, way, at } of faults({ ...faulty.counts }, ["lost"], some(0))) {
    for (const n of at) {
      using device = await Device.open({ gpu: faulty.gpu });
      faulty.arm(call, n, way);
      const what = `${call} ${n} ${way}`;
      await assertFails(() => InfinityModel.load(undefined, { device }), way, what);
      assert(faulty.fired, what);
      assertEquals(device.memory.liveBytes, 0, what);
      count++;
    }
  }
  report(count, "loading on lost devices");
});

Deno.test("generate() and stream() reject if the device is lost at any step", async () => {
  const faulty = new FaultyGpu();
  const open = () => InfinityModel.load(undefined, { gpu: faulty.gpu });
  for (let step = 0; step < 5; step++) { // four scales and the decoding
    using model = await open();
    let steps = 0;
    const onProgress = () => void (steps++ === step && faulty.lose());
    await assertFails(() => model.generate({ ...OPTIONS, onProgress }), "lost", `step ${step}`);
    await assertFails(() => model.decode(bits), "lost", `after step ${step}`);
  }
  for (let step = 0; step < 4; step++) {
    using model = await open();
    const stream = model.stream(OPTIONS);
    for (let s = 0; s <= step; s++) await stream.next();
    faulty.lose();
    await assertFails(() => stream.next(), "lost", `step ${step} of a stream`);
  }
});
