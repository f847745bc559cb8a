// Equal bytes and flat memory hold on every adapter. The growth of resident memory is that of Deno's own WebGPU on
// Mesa's software adapter, where GPU memory is the process's; on Dawn and on GPUs it is measured, not asserted.
// BITWISE_REPEATS=400 generates 400 images and loads 100 models after a warm-up; the gate repeats less.
import { DAWN } from "../backend.ts";
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { InfinityModel } from "../../mod.ts";
import { device } from "../harness.ts";
import type { Held } from "./repeat.ts";

const REPEATS = Number(Deno.env.get("BITWISE_REPEATS") ?? 40);
const SOFTWARE = !DAWN && device.capabilities.class === "cpu";
/** glibc keeps freed blocks of many MB; by these it returns them at once, so that what is resident is in use. */
const RETURN_FREED = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_TRIM_THRESHOLD_: "131072",
};

/** Repeats in a process of its own, whose garbage is collected if `collects`. */
async function repeat(what: string, warm: number, count: number, collects: boolean): Promise<Held> {
  const path = (name: string) => fromFileUrl(import.meta.resolve(name));
  const args = [
    ...["run", "-A", "--no-lock", ...collects ? ["--v8-flags=--expose-gc"] : []],
    ...["--preload", path("../backend.ts"), path("./repeat.ts"), what, `${warm}`, `${count}`],
  ];
  const command = new Deno.Command(Deno.execPath(), { args, env: RETURN_FREED, stderr: "inherit" });
  const { code, stdout } = await command.output();
  assertEquals(code, 0);
  const held = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!) as Held;
  const [before, after] = held.resident.map((bytes) => Math.round(bytes / 1e6));
  const heap = (held.heap / 1e6).toFixed(1);
  console.log(
    `${count} times ${what}${collects ? " with forced collection" : ""}: ${before} MB, then ` +
      `${after} MB, heap ${heap} MB`,
  );
  return held;
}

function assertFlat({ wrong, engine, resident: [before, after] }: Held, growth: number): void {
  assertEquals(wrong, 0, "the same seed gives the same bytes");
  assertEquals(engine.length, 1, `bytes of the engine: ${engine.join(", ")}`);
  if (SOFTWARE) assert(after < before * (1 + growth), `${before} grew to ${after}`);
}

Deno.test("generate() gives the same bytes again and again, and holds no more memory", async () => {
  assertFlat(await repeat("generate", Math.max(20, REPEATS / 4), REPEATS, true), 0.1);
});

Deno.test("generate() leaves garbage of WebGPU to V8, which collects it in time", async () => {
  // V8 does not see the native memory of 13 command encoders and 154 passes an image, about 170 kB
  assertFlat(await repeat("generate", Math.max(20, REPEATS / 4), REPEATS, false), 0.25);
});

Deno.test("load() and dispose() again and again hold no more memory", async () => {
  assertFlat(await repeat("load", 20, REPEATS / 4, true), 0.1);
});

const long = REPEATS >= 400;
Deno.test({
  name: "load() and dispose() again and again on devices of their own leave little behind" +
    (long ? "" : " (skipped: it takes minutes, set BITWISE_REPEATS=400)"),
  ignore: !long,
  async fn() {
    // devices alone, opened and destroyed without bitwise, leave up to 0.5 MB each in Mesa and wgpu
    assertFlat(await repeat("open", 20, REPEATS / 4, true), 0.25);
  },
});

Deno.test("20 calls at once give the same bytes as one after the other", async () => {
  using model = await InfinityModel.load(undefined, { device });
  const run = async (seed: number) =>
    (await model.generate({ prompt: "a smiling thing", seed, tau: 2 })).images[0]!;
  const serial = [];
  for (let seed = 0; seed < 20; seed++) serial.push(await run(seed));
  await model.encode(serial[0]!); // loads the encoder
  const live = device.memory.liveBytes;
  const images = await Promise.all(Array.from({ length: 20 }, (_, seed) => run(seed)));
  assertEquals(images.map(({ rgba }) => rgba), serial.map(({ rgba }) => rgba));
  const decoded = await Promise.all(serial.map(({ bits }) => model.decode(bits)));
  assertEquals(decoded.map(({ rgba }) => rgba), serial.map(({ rgba }) => rgba));
  const bits = await Promise.all(decoded.map((image) => model.encode(image)));
  for (const [i, image] of decoded.entries()) assertEquals(await model.encode(image), bits[i]);
  assertEquals(device.memory.liveBytes, live);
});
