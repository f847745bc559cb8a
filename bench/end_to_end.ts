import type { KernelTime } from "../engine/mod.ts";
import { InfinityModel } from "../model/infinity.ts";
import { median, wallTime } from "./measure.ts";

const PROMPT = "red apple";
const WARM_IMAGES = 20;
const BATCH = 8;
const WARM_PROCESSES = 5;
const COLD_PROCESSES = 3;

/** One number; a count has no unit, the note says how to read it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: "ms" | "bytes" | "";
  readonly note: string;
}

/** emoji-nano from the outside, and the GPU time of one image by kernel (null without timestamps). */
export interface EndToEnd {
  readonly figures: readonly Figure[];
  readonly families: readonly KernelTime[] | null;
}

/** Measures whole processes first, which leaves the driver's shader cache warm for what follows. */
export async function benchEndToEnd(): Promise<EndToEnd> {
  const processes = await benchProcesses();
  const { figures, families } = await benchModel();
  return { figures: [...processes, ...figures], families };
}

/** Wall time of `bitwise generate` as a process of its own. */
async function generateProcess(folder: string, env: Record<string, string> = {}): Promise<number> {
  const cli = new URL("../cli.ts", import.meta.url).href;
  const permissions = ["--allow-read", "--allow-write", "--allow-env"];
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, cli, "generate", PROMPT, "-s", "7", "-o", `${folder}/apple.png`],
    env,
    stdout: "null",
    stderr: "piped",
  });
  return await wallTime(async () => {
    const { success, stderr } = await command.output();
    if (!success) throw new Error(`generate failed: ${new TextDecoder().decode(stderr).trim()}`);
  });
}

async function countFiles(folder: string): Promise<number> {
  let files = 0;
  for await (const entry of Deno.readDir(folder)) {
    files += entry.isDirectory ? await countFiles(`${folder}/${entry.name}`) : Number(entry.isFile);
  }
  return files;
}

/** Where Deno keeps modules and compiled TypeScript. */
async function denoFolder(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

async function benchProcesses(): Promise<Figure[]> {
  const folder = await Deno.makeTempDir({ prefix: "bitwise-bench-" });
  try {
    const DENO_DIR = await denoFolder(); // else a fresh XDG_CACHE_HOME would empty Deno's cache, too
    await generateProcess(folder); // fills Deno's cache, and the driver's
    const cold: number[] = [];
    let cached = 0;
    for (let i = 0; i < COLD_PROCESSES; i++) {
      const cache = await Deno.makeTempDir({ dir: folder });
      const drivers = { MESA_SHADER_CACHE_DIR: cache, __GL_SHADER_DISK_CACHE_PATH: cache };
      cold.push(await generateProcess(folder, { XDG_CACHE_HOME: cache, DENO_DIR, ...drivers }));
      cached = await countFiles(cache);
    }
    const warm: number[] = [];
    for (let i = 0; i < WARM_PROCESSES; i++) warm.push(await generateProcess(folder));
    const proof = cached
      ? `an empty shader cache, into which the driver wrote ${cached} files`
      : "NOT KNOWN TO BE COLD: the driver wrote nothing to the empty cache";
    return [
      timed("generate, process, cold", cold, proof),
      timed("generate, process, warm", warm),
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function benchModel(): Promise<EndToEnd> {
  const began = performance.now();
  using model = await InfinityModel.load();
  const { device } = model;
  await device.finish(); // weights are still being packed
  const load = performance.now() - began;
  const weights = device.memory.liveBytes;
  const generate = async (count: number, batchCount: number) => {
    const samples: number[] = [];
    for (let i = 0; i < count; i++) {
      samples.push(await wallTime(() => model.generate({ prompt: PROMPT, seed: 7, batchCount })));
    }
    return samples;
  };

  const loaded = device.counters;
  const [first = NaN] = await generate(1, 1);
  const { dispatches, submits, pipelines } = device.counters;
  device.memory.resetPeak();
  const warm = await generate(WARM_IMAGES, 1);
  const peak = device.memory.peakBytes;
  await generate(1, BATCH);
  device.memory.resetPeak();
  const batch = await generate(5, BATCH);
  const batchPeak = device.memory.peakBytes;
  const { images: [image] } = await model.generate({ prompt: PROMPT, seed: 7 });
  const repeat = async (run: () => Promise<unknown>) => {
    await run(); // loads the encoder, compiles what generation has no use for
    const samples: number[] = [];
    for (let i = 0; i < WARM_IMAGES; i++) samples.push(await wallTime(run));
    return samples;
  };
  const encode = await repeat(() => model.encode(image!));
  const decode = await repeat(() => model.decode(image!.bits));
  const edit = await repeat(() => model.edit(image!.bits, { prompt: PROMPT, strength: 0.5 }));
  const previews = await repeat(async () => {
    for await (const step of model.stream({ prompt: PROMPT, preview: true })) await step.image();
  });
  const figures = [
    figure("load", load, "ms", "device, weights, packing"),
    figure("first image", first, "ms", "shaders in the driver's cache"),
    timed("warm image", warm),
    timed(`batch of ${BATCH}`, batch),
    figure("  per image", median(batch) / BATCH, "ms"),
    timed("encode", encode, "a picture to bits"),
    timed("decode", decode, "bits to a picture"),
    timed("edit", edit, "bits to a picture, half of the scales drawn"),
    timed("previews", previews, "a picture shown at each scale"),
    figure("dispatches", dispatches - loaded.dispatches, "", "one image"),
    figure("submits", submits - loaded.submits, "", "one image, besides copies and the read-back"),
    figure("pipelines", pipelines, "", `${loaded.pipelines} of them to load`),
    figure("weights", weights, "bytes", "live after loading"),
    figure("peak", peak, "bytes", "one image, weights included"),
    figure(`peak, batch of ${BATCH}`, batchPeak, "bytes", "weights included"),
  ];
  return { figures, families: await families(model) };
}

/** Last, as a profiled device stays profiled: each dispatch is then a pass of its own. */
async function families(model: InfinityModel): Promise<KernelTime[] | null> {
  const profiler = model.device.profile();
  if (!profiler) return null;
  const runs = 5;
  for (let i = 0; i < runs; i++) await model.generate({ prompt: PROMPT, seed: 7 });
  return (await profiler.report()).map(({ name, count, milliseconds }) => ({
    name,
    count: count / runs,
    milliseconds: milliseconds / runs,
  }));
}

function figure(name: string, value: number, unit: Figure["unit"], note: string = ""): Figure {
  return { name, value, unit, note };
}

function timed(name: string, samples: readonly number[], note: string = ""): Figure {
  const of = `median of ${samples.length}, min ${Math.min(...samples).toFixed(0)}`;
  return figure(name, median(samples), "ms", note ? `${of}; ${note}` : of);
}
