import { median, timed, type Times, wallTime } from "../measuring/measure.ts";
import type { Device, KernelTime } from "../../engine/mod.ts";
import { InfinityModel } from "../../model/infinity.ts";

const PROMPT = "red apple";
const WARM_IMAGES = 20;
const BATCH = 8;
const WARM_PROCESSES = 5;
const COLD_PROCESSES = 3;

/** One number. A count has no unit; the note says how to read it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: "ms" | "bytes" | "";
  readonly note: string;
}

/** The part of one image that a kernel, or a stage, takes. */
export interface Share {
  readonly name: string;
  readonly count: number;
  readonly milliseconds: number;
}

/**
 * Times of emoji-nano as a user sees them, and the GPU time of one image by kernel and by stage (null without
 * timestamps).
 */
export interface EndToEnd {
  readonly figures: readonly Figure[];
  readonly families: readonly Share[] | null;
  readonly scales: readonly Share[] | null;
}

/**
 * Measures emoji-nano through `gpu`, or the runtime's own. Processes, which always use that, come first, because they
 * warm the driver's shader cache for the rest.
 */
export async function benchEndToEnd(gpu?: GPU): Promise<EndToEnd> {
  const processes = await benchProcesses();
  const { figures, ...shares } = await benchModel(gpu);
  return { figures: [...processes, ...figures], ...shares };
}

/** Wall time of `bitwise generate` as a process of its own. */
async function generateProcess(folder: string, env: Record<string, string> = {}): Promise<number> {
  const cli = new URL("../../cli.ts", import.meta.url).href;
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
    const DENO_DIR = await denoFolder(); // without it a fresh XDG_CACHE_HOME would empty Deno's cache, too
    await generateProcess(folder); // fills the caches of Deno and of the driver
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
      middle("generate, process, cold", cold, proof),
      middle("generate, process, warm", warm),
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function benchModel(gpu?: GPU): Promise<EndToEnd> {
  const began = performance.now();
  using model = await InfinityModel.load("emoji-nano", { gpu });
  const { device } = model;
  await device.finish(); // waits until all weights are packed
  const load = performance.now() - began;
  const recording = recordingTime(device);
  const weights = device.memory.liveBytes;
  const generate = async (count: number, batchCount: number) => {
    const samples: Times[] = [];
    for (let i = 0; i < count; i++) {
      samples.push(await timed(() => model.generate({ prompt: PROMPT, seed: 7, batchCount })));
    }
    return samples;
  };
  const walls = (samples: readonly Times[]) => samples.map(({ wall }) => wall);
  const cpu = (samples: readonly Times[]) =>
    `CPU time / cores ${median(samples.map((sample) => sample.cpu)).toFixed(0)}`;

  const loaded = device.counters;
  const [first] = await generate(1, 1);
  const { dispatches, submits, pipelines } = device.counters;
  device.memory.resetPeak();
  recording.milliseconds = 0;
  const warm = await generate(WARM_IMAGES, 1);
  const record = recording.milliseconds / WARM_IMAGES;
  const peak = device.memory.peakBytes;
  await generate(1, BATCH);
  device.memory.resetPeak();
  const batch = await generate(5, BATCH);
  const batchPeak = device.memory.peakBytes;
  const { images: [image] } = await model.generate({ prompt: PROMPT, seed: 7 });
  const repeat = async (run: () => Promise<unknown>) => {
    await run(); // loads the encoder, compiles what generating does not need
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
    figure("first image", first!.wall, "ms", "shaders in the driver's cache"),
    middle("warm image", walls(warm), cpu(warm)),
    figure("  recording", record, "ms", "part of it: JavaScript records and encodes commands"),
    middle(`batch of ${BATCH}`, walls(batch), cpu(batch)),
    figure("  per image", median(walls(batch)) / BATCH, "ms"),
    middle("encode", encode, "an image to bits"),
    middle("decode", decode, "bits to an image"),
    middle("edit", edit, "bits to an image, half of the scales generated"),
    middle("previews", previews, "an image at each scale"),
    figure("dispatches", dispatches - loaded.dispatches, "", "one image"),
    figure(
      "submits",
      submits - loaded.submits,
      "",
      "one image, not counting copies and the read-back",
    ),
    figure("pipelines", pipelines, "", `${loaded.pipelines} of them for loading`),
    figure("weights", weights, "bytes", "live after loading"),
    figure("peak", peak, "bytes", "one image, weights included"),
    figure(`peak, batch of ${BATCH}`, batchPeak, "bytes", "weights included"),
  ];
  return { figures, ...await shares(model) };
}

/**
 * Adds up the time that JavaScript spends on commands from now on. Submits do not count: they may wait for the previous
 * one.
 */
function recordingTime(device: Device): { milliseconds: number } {
  const total = { milliseconds: 0 };
  let inside = false;
  const time = (object: object, name: string, count: (milliseconds: number) => void) => {
    const method = Reflect.get(object, name) as (...args: unknown[]) => unknown;
    Object.defineProperty(object, name, {
      value(...args: unknown[]) {
        const began = performance.now();
        const outermost = object === device && !inside;
        if (outermost) inside = true;
        try {
          return method.apply(object, args);
        } finally {
          if (outermost) inside = false;
          if (outermost || object !== device && inside) count(performance.now() - began);
        }
      },
    });
  };
  for (const name of ["run", "stage", "flush"]) {
    time(device, name, (ms) => total.milliseconds += ms);
  }
  time(device.gpu.queue, "submit", (ms) => total.milliseconds -= ms);
  return total;
}

/** Runs last, because a device stays profiled, and then each dispatch is a pass of its own. */
async function shares(model: InfinityModel): Promise<Pick<EndToEnd, "families" | "scales">> {
  const profiler = model.device.profile();
  if (!profiler) return { families: null, scales: null };
  const runs = 5;
  for (let i = 0; i < runs; i++) {
    await model.generate({
      prompt: PROMPT,
      seed: 7,
      onStage: (stage) => profiler.section = stage === "transformer" ? "text side, scale 1" : stage,
      onProgress({ stage, scale, scales }) {
        if (stage === "scale" && scale + 1 < scales) profiler.section = `scale ${scale + 2}`;
      },
    });
  }
  const times = await profiler.report();
  return { families: sum(times, "name", runs), scales: sum(times, "section", runs) };
}

function sum(times: readonly KernelTime[], by: "name" | "section", runs: number): Share[] {
  const shares = new Map<string, Share>();
  for (const { [by]: name, count, milliseconds } of times) {
    const known = shares.get(name);
    shares.set(name, {
      name,
      count: (known?.count ?? 0) + count / runs,
      milliseconds: (known?.milliseconds ?? 0) + milliseconds / runs,
    });
  }
  return [...shares.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}

function figure(name: string, value: number, unit: Figure["unit"], note: string = ""): Figure {
  return { name, value, unit, note };
}

function middle(name: string, samples: readonly number[], note: string = ""): Figure {
  const of = `median of ${samples.length}, min ${Math.min(...samples).toFixed(0)}`;
  return figure(name, median(samples), "ms", note ? `${of}; ${note}` : of);
}
