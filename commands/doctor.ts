import { command } from "./command.ts";
import { GPU_FLAG, implementation } from "./flags/gpu.ts";
import { MODEL_HELP } from "./flags/output_flags.ts";
import { on, path } from "./flags/types.ts";
import { adviseOn } from "./hints.ts";
import { orAbort } from "./io/io.ts";
import { formatBytes } from "../engine/mod.ts";

/** One finding. */
interface Finding {
  readonly level: "ok" | "note" | "missing";
  readonly text: string;
}

/** `bitwise doctor`: adapter, features, limits, and what to do about what is missing. */
export const doctor = command(
  {
    name: "doctor",
    summary: "Checks the GPU and the model, and names what is missing. Ends with 0 if all can run.",
    words: "",
    flags: {
      "model": { alias: "m", type: { ...path, value: "NAME|DIR" }, help: MODEL_HELP },
      ...GPU_FLAG,
      "json": { type: on, help: "Print one JSON object" },
    },
  },
  async (given, _words, io) => {
    const gpu = await orAbort(io.signal, checkGpu(given.gpu));
    const findings = [...gpu.findings, await checkModel(given.model)];
    const usable = findings.every(({ level }) => level !== "missing");
    if (given.json) {
      const { capabilities = null } = gpu;
      io.out(JSON.stringify({ usable, deno: Deno.version.deno, capabilities, findings }));
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
  const findings: Finding[] = [];
  let device;
  try {
    device = await Device.open({ gpu: await implementation(name) });
  } catch (error) {
    findings.push({ level: "missing", text: adviseOn(error) });
    return { lines: ["Adapter      none"], findings };
  }
  const { capabilities } = device;
  const { limits } = capabilities;
  const yes = (value: boolean) => value ? "yes" : "no";
  const size = (name: string) => formatBytes(limits[name] ?? 0);
  const matrices = capabilities.subgroupMatrices.map(({ M, N, K, ...type }) =>
    `${M}x${N}x${K} ${type.componentType} to ${type.resultComponentType}`
  );
  const lines = [
    `Adapter      ${capabilities.adapter}`,
    `Class        ${capabilities.class} (through ${capabilities.implementation})`,
    `f16          ${yes(capabilities.f16)}`,
    `Subgroups    ${yes(capabilities.subgroups)}` +
    (capabilities.subgroupSize ? `, ${capabilities.subgroupSize} lanes` : ""),
    `Matrices     ${matrices.join(", ") || "no"}`,
    `Timestamps   ${yes(capabilities.timestamps)}`,
    `Buffers      up to ${size("maxBufferSize")}, ${size("maxStorageBufferBindingSize")} bound`,
    `Textures     up to ${limits.maxTextureDimension2D} texels`,
    `Workgroups   ${limits.maxComputeInvocationsPerWorkgroup} invocations, ` +
    `${size("maxComputeWorkgroupStorageSize")} shared`,
  ];
  try {
    // the smallest kernel there is, on a number whose answer is known
    const { silu } = await import("../kernels/elementwise/silu.ts");
    using x = device.from("f32", [1], new Float32Array([1]));
    using y = device.tensor("f32", [1]);
    silu(device, { x, y });
    const [answer = NaN] = await device.read(y);
    const right = Math.abs(answer - 1 / (1 + Math.exp(-1))) < 1e-5;
    findings.push(
      right
        ? { level: "ok", text: "The GPU runs shaders and gives the right answer" }
        : { level: "missing", text: `The GPU computes wrongly (${answer}): update its driver` },
    );
  } catch (error) {
    findings.push({ level: "missing", text: adviseOn(error) });
  }
  if (capabilities.class === "cpu") {
    findings.push({
      level: "note",
      text: "This adapter is a CPU: slow. With a GPU, install its Vulkan driver",
    });
  }
  if (!capabilities.f16) {
    findings.push({ level: "note", text: "No shader-f16: --type f16 cannot be used" });
  }
  if (!capabilities.subgroups) {
    findings.push({ level: "note", text: "No subgroups: slower kernels are used" });
  }
  device.dispose();
  return { capabilities, lines, findings };
}

async function checkModel(folder: string | undefined): Promise<Finding> {
  const { findModel } = await import("../model/checkpoint/find_model.ts");
  const { openFolder } = await import("../model/checkpoint/folder.ts");
  const { parseConfig } = await import("../model/config/config.ts");
  try {
    const files = openFolder(await findModel(folder));
    const config = parseConfig(await files.json("config.json"), files.path("config.json"));
    for (const name of [config.files.transformer, config.files.vae]) {
      (await files.tensors(name)).close();
    }
    const { text_encoder, tokenizer } = config.files;
    if (config.text_encoder && !await files.exists(text_encoder)) {
      const text = `${config.name} has no ${text_encoder}: it draws from --text-features alone`;
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
    return { level: "missing", text: adviseOn(error) };
  }
}
