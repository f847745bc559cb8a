import { command } from "./command.ts";
import { GPU_FLAG } from "./flags/gpu.ts";
import { chooseGpu, implementation } from "../model/parts/choose_gpu.ts";
import { MODEL_HELP } from "./flags/output_flags.ts";
import { on, path } from "./flags/types.ts";
import { adviseOn } from "./hints.ts";
import { type Io, outJson } from "./io/io.ts";
import { type Capabilities, type Device, formatBytes, orAbort } from "../engine/mod.ts";

/** One finding. */
interface Finding {
  readonly level: "ok" | "note" | "missing";
  readonly text: string;
}

/** `bitwise doctor`: adapter, features, limits, and what to do about what is missing. */
export const doctor = command(
  {
    name: "doctor",
    summary:
      "Checks the GPU and the model, and names what is missing. Exits with 0 if everything can run.",
    words: "",
    flags: {
      "model": { alias: "m", type: { ...path, value: "NAME|DIR" }, help: MODEL_HELP },
      ...GPU_FLAG,
      "json": { type: on, help: "Print one JSON object" },
    },
  },
  async (given, _words, io) => {
    const gpu = await orAbort(io.signal, checkGpu(given.gpu));
    const findings = [...gpu.findings, await checkModel(given.model, io)];
    const usable = findings.every(({ level }) => level !== "missing");
    if (given.json) {
      const { capabilities = null } = gpu;
      outJson(io, { usable, deno: Deno.version.deno, capabilities, findings });
      return usable ? 0 : 1;
    }
    io.out(`Deno         ${Deno.version.deno} on ${Deno.build.os} ${Deno.build.arch}`);
    for (const line of gpu.lines) io.out(line);
    io.out("");
    for (const { level, text } of findings) io.out(`${level.padEnd(8)} ${text}`);
    return usable ? 0 : 1;
  },
);

async function checkGpu(name: "wgpu" | "dawn" | undefined) {
  const { Device } = await import("../engine/mod.ts");
  let device;
  try {
    device = await Device.open({ gpu: await implementation(name) });
  } catch (error) {
    const findings: Finding[] = [{ level: "missing", text: adviseOn(error) }];
    return { lines: ["Adapter      none"], findings };
  }
  const { capabilities } = device;
  const findings = [await checkAnswer(device), ...notesOn(capabilities)];
  if (!name && capabilities.class === "gpu") findings.push(await checkTensorCores());
  device.dispose();
  return { capabilities, lines: describe(capabilities), findings };
}

function describe({ limits, ...capabilities }: Capabilities): string[] {
  const yes = (value: boolean) => value ? "yes" : "no";
  const size = (name: string) => formatBytes(limits[name] ?? 0);
  const matrices = capabilities.subgroupMatrices.map(({ M, N, K, ...type }) =>
    `${M}x${N}x${K} ${type.componentType} to ${type.resultComponentType}`
  );
  return [
    `Adapter      ${capabilities.adapter}`,
    `Class        ${capabilities.class} (through ${capabilities.implementation})`,
    `f16          ${yes(capabilities.f16)}`,
    `Subgroups    ${yes(capabilities.subgroups)}` +
    (capabilities.subgroupSize ? `, ${capabilities.subgroupSize} lanes` : ""),
    `Matrices     ${matrices.join(", ") || "no"}`,
    `Robustness   ${capabilities.robustness ? "on" : "off"}, kernels check their own bounds`,
    `Timestamps   ${yes(capabilities.timestamps)}`,
    `Buffers      up to ${size("maxBufferSize")}, ${size("maxStorageBufferBindingSize")} bound`,
    `Textures     up to ${limits.maxTextureDimension2D} texels`,
    `Workgroups   ${limits.maxComputeInvocationsPerWorkgroup} invocations, ` +
    `${size("maxComputeWorkgroupStorageSize")} shared`,
  ];
}

/** Runs the smallest kernel on a number whose answer is known. */
async function checkAnswer(device: Device): Promise<Finding> {
  try {
    const { activate } = await import("../kernels/elementwise/activate.ts");
    using x = device.from("f32", [1], new Float32Array([1]));
    using y = device.tensor("f32", [1]);
    activate(device, { x, y, kind: "silu" });
    const [answer = NaN] = await device.read(y);
    return Math.abs(answer - 1 / (1 + Math.exp(-1))) < 1e-5
      ? { level: "ok", text: "The GPU runs shaders and computes correctly" }
      : { level: "missing", text: `The GPU computes wrongly (${answer}): update its driver` };
  } catch (error) {
    return { level: "missing", text: adviseOn(error) };
  }
}

/** Says whether f16 reaches tensor cores where no implementation is named. */
async function checkTensorCores(): Promise<Finding> {
  const { name, reason } = await chooseGpu("f16");
  return name === "dawn"
    ? { level: "ok", text: `Models of f16, q8_0 and q4_0 run through Dawn: ${reason}` }
    : { level: "note", text: `No tensor cores: ${reason}; doctor --gpu dawn says more` };
}

/** What works, but slowly or in part. */
function notesOn(capabilities: Capabilities): Finding[] {
  const notes = [
    capabilities.implementation === "dawn" && !capabilities.subgroupMatrices.length &&
    "Dawn finds no tensor cores: update the GPU's driver, or use --gpu wgpu",
    capabilities.class === "cpu" && "This adapter is a CPU and slow: install a GPU's Vulkan driver",
    !capabilities.f16 && "No shader-f16: --type f16 cannot be used",
    !capabilities.subgroups && "No subgroups: slower kernels are used",
  ];
  return notes.filter((text) => text !== false).map((text) => ({ level: "note", text }));
}

async function checkModel(model: string | undefined, io: Io): Promise<Finding> {
  const { chooseModel } = await import("./io/model.ts");
  const { openFolder } = await import("../model/checkpoint/folder.ts");
  try {
    const { config, folder } = await chooseModel({ model }, io);
    const files = openFolder(folder!);
    for (const name of [config.files.transformer, config.files.vae]) {
      (await files.tensors(name)).close();
    }
    const { text_encoder, tokenizer } = config.files;
    if (config.text_encoder && !await files.exists(text_encoder)) {
      const text = `${config.name} has no ${text_encoder}: it generates from --text-features only`;
      return { level: "note", text };
    }
    if (config.text_encoder) {
      const { Tokenizer } = await import("../model/text/tokenizer.ts");
      (await files.tensors(text_encoder)).close();
      Tokenizer.load(await files.json(tokenizer), {
        maxLength: config.tokenizer.max_length,
        name: files.path(tokenizer),
      });
    }
    return { level: "ok", text: `The model ${config.name} is complete` };
  } catch (error) {
    io.signal.throwIfAborted();
    return { level: "missing", text: adviseOn(error) };
  }
}
