// Refuses each allocation of a call in turn, on a device that allocates nothing.
import { assert, assertEquals } from "@std/assert";
import { Device, dryGpu, type Memory, OutOfMemoryError } from "../../engine/mod.ts";
import { type GenerateOptions, InfinityModel } from "../../mod.ts";
import { PATCHIFY } from "./checkpoint/patchify_config.ts";

/** Makes a device refuse one allocation of tensors and textures. */
class Refusal {
  #left = Infinity;

  constructor(memory: Memory) {
    const allocate = memory.allocate.bind(memory);
    const takeTexture = memory.takeTexture.bind(memory);
    const createTexture = memory.createTexture.bind(memory);
    memory.allocate = (bytes, label, role) => {
      this.#count(label);
      return allocate(bytes, label, role);
    };
    memory.takeTexture = (rows, format, label) => {
      this.#count(label);
      return takeTexture(rows, format, label);
    };
    memory.createTexture = (rows, format, label) => {
      this.#count(label);
      return createTexture(rows, format, label);
    };
  }

  #count(label: string): void {
    if (this.#left-- === 0) throw new OutOfMemoryError("refused", `Cannot allocate ${label}`);
  }

  /** Calls `run` with its allocation `n` refused. Returns that error; null if there are no so many. */
  async at(n: number, run: () => Promise<unknown>): Promise<OutOfMemoryError | null> {
    this.#left = n;
    try {
      await run();
      return null;
    } catch (error) {
      assert(error instanceof OutOfMemoryError, `${error}`);
      return error;
    } finally {
      this.#left = Infinity;
    }
  }
}

/** Asserts that `run` frees its memory whichever of its allocations is refused; it has more than `least`. */
async function assertFrees(
  { memory }: Device,
  refusal: Refusal,
  run: () => Promise<unknown>,
  least: number,
): Promise<void> {
  await run(); // loads what stays loaded
  const live = memory.liveBytes;
  for (let n = 0;; n++) {
    const error = await refusal.at(n, run);
    assertEquals(memory.liveBytes, live, `allocation ${n}: ${error?.message}`);
    if (!error) return assert(n > least, `only ${n} allocations`);
  }
}

const { width, height } = PATCHIFY.image;
const image = { width, height, rgba: new Uint8Array(4 * width * height) };
const left = image.rgba.map((_, i) => i / 4 % width < width / 2 ? 255 : 0);
const mask = { ...image, rgba: left };
const C = PATCHIFY.transformer.text_channels;
const features = (texts: number) => ({
  features: new Float32Array(3 * texts * C),
  width: C,
  lens: Array<number>(texts).fill(3),
});

const GENERATIONS: Record<string, GenerateOptions> = {
  "guidance": { prompt: ["a", "b"], cfgScale: 3 },
  "a negative prompt": { prompt: "a", cfgScale: 3, negativePrompt: "b", batchCount: 2 },
  "features": { textFeatures: features(2), negativeFeatures: features(1), cfgScale: 3 },
  "a trace": { prompt: "a", trace: true },
  "approximations": { prompt: "a", fast: ["kv", "prune"] },
  "an edit": { prompt: "a", init: image, mask },
};

for (const software of [false, true]) {
  const on = `on a ${software ? "CPU" : "GPU"}`;
  const device = await Device.open({ gpu: dryGpu(software), debug: { level: 0 } });
  const model = await InfinityModel.synthetic(PATCHIFY, { device });
  const refusal = new Refusal(device.memory);

  for (const [name, options] of Object.entries(GENERATIONS)) {
    Deno.test(`generate() with ${name} ${on} frees its memory if any allocation is refused`, () =>
      assertFrees(device, refusal, () => model.generate(options), 90));
  }

  Deno.test(`stream() ${on} frees its memory if any allocation is refused`, () =>
    assertFrees(device, refusal, async () => {
      for await (const _ of model.stream("a", { preview: true })) { /* to the end */ }
    }, 200));

  Deno.test(`encode() and decode() ${on} free their memory if any allocation is refused`, async () => {
    const bits = await model.encode(image);
    await assertFrees(device, refusal, () => model.encode(image, { trace: () => {} }), 40);
    await assertFrees(device, refusal, () => model.decode([bits, bits]), 50);
  });

  Deno.test(`load() ${on} frees its memory if any allocation is refused`, () =>
    assertFrees(device, refusal, async () => {
      using _ = await InfinityModel.load(undefined, { device, type: "q8_0" });
    }, 150));

  Deno.test(`generate() in stages ${on} frees its memory if any allocation is refused`, () =>
    assertFrees(device, refusal, async () => {
      const options = { device, type: "q8_0", staged: true } as const;
      using staged = await InfinityModel.synthetic(PATCHIFY, options);
      await staged.generate("a");
    }, 150));
}
