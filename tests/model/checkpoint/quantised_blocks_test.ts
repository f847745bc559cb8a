import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { join } from "@std/path";
import { main } from "../../../cli.ts";
import { CheckpointError, encodeSafetensors } from "../../../engine/mod.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import type { WeightType } from "../../../kernels/linear/weight_types.ts";
import { isQuantisable } from "../../../model/checkpoint/quantised_blocks.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { checkTensors } from "../../../model/checkpoint/check_tensors.ts";
import { parameterShapes, t5Shapes, vaeShapes } from "../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { findPreset } from "../../../model/config/presets.ts";
import { assembleFolder } from "../../../model/release/assemble.ts";
import { convertFile } from "../../../model/release/convert.ts";
import { fakeIo, inFolder } from "../../commands/process.ts";
import { encode, TINY } from "../release/tiny_release.ts";
import { NANO } from "../../nano.ts";

const BOX = decodeURIComponent(NANO.pathname);
const PARTS = ["transformer.safetensors", "vae.safetensors", "text_encoder/model.safetensors"];

/** Converts the model in the box to `type`, into a folder of its own. */
async function quantisedBox(folder: string, type: WeightType): Promise<string> {
  await Deno.mkdir(join(folder, "text_encoder"));
  for (const name of ["config.json", "tokenizer.json"]) {
    await Deno.copyFile(join(BOX, name), join(folder, name));
  }
  for (const name of PARTS) await convertFile(join(BOX, name), join(folder, name), { type });
  return folder;
}

async function image(folder: string, type?: WeightType) {
  using model = await InfinityModel.load(folder, { type });
  const { images } = await model.generate({ prompt: "red apple", seed: 7 });
  return { type: model.type, rgba: images[0]!.rgba };
}

Deno.test("a quantised file generates the same bits as quantising while loading", async () => {
  const plain = await image(BOX);
  for (const type of ["q8_0", "q4_0"] as const) {
    await inFolder(async (folder) => {
      const loaded = await image(BOX, type);
      const stored = await image(await quantisedBox(folder, type));
      assertEquals(stored.type, type, "known from the file");
      assertEquals(stored.rgba, loaded.rgba, type);
      if (type === "q4_0") assert(stored.rgba.some((v, i) => v !== plain.rgba[i]), "it matters");
      assertEquals((await image(folder, "f32")).type, "f32");
    });
  }
});

Deno.test("isQuantisable() accepts the linear layers of blocks, and nothing sensitive", () => {
  const { transformer, text_encoder } = parseConfig(findPreset("2b").config, "2b");
  const kinds = (shapes: Iterable<readonly [string, readonly number[]]>) =>
    new Set(
      [...shapes].filter(([n, s]) => isQuantisable(n, s)).map(([n]) => n.replace(/^.*\.\d+\./, "")),
    );
  assertEquals(
    [...kinds(parameterShapes(transformer))],
    ["sa.mat_qkv", "ca.mat_q", "ca.mat_kv", "ca.proj", "ffn.fc1", "ffn.fc2"].map((n) =>
      `${n}.weight`
    ),
  );
  assertEquals(
    [...kinds(t5Shapes(text_encoder!))],
    [
      ..."qkvo".split("").map((n) => `SelfAttention.${n}.weight`),
      ...["wi_0", "wi_1", "wo"].map((n) => `DenseReluDense.${n}.weight`),
    ],
  );
  assertEquals(isQuantisable("blocks.0.ffn.fc1.weight", [8, 32]), true);
  assertEquals(isQuantisable("blocks.0.ffn.fc1.weight", [8, 40]), false);
  assertEquals(isQuantisable("text_proj_for_sos.ca.mat_kv.weight", [8, 32]), false);
});

const fc1 = "blocks.0.ffn.fc1.weight";
const small = (...more: Parameters<typeof encodeSafetensors>[0][number][]) =>
  encodeSafetensors([
    { name: fc1, dtype: "F32", shape: [3, 64], data: new Float32Array(192).map((_, i) => i - 60) },
    { name: "head.weight", dtype: "F32", shape: [2, 32], data: new Float32Array(64).fill(0.1) },
    { name: "head.bias", dtype: "F16", shape: [2], data: new Float16Array(2) },
    { name: "odd", dtype: "U8", shape: [3], data: new Uint8Array(3) },
    ...more,
  ]);

Deno.test("convertFile() writes q8_0 and q4_0 blocks with their scales, and the rest as f16", async () => {
  await inFolder(async (folder) => {
    const [from, to, again] = ["a", "b", "c"].map((n) => join(folder, `${n}.safetensors`)) as [
      string,
      string,
      string,
    ];
    await Deno.writeFile(from, small());
    for (const [type, dtype, width] of [["q8_0", "I8", 64], ["q4_0", "U8", 32]] as const) {
      const io = fakeIo();
      assertEquals(await main(["convert", from, "-o", to, "--type", type], io), 0, io.errors());
      const file = await openTensorFile(to);
      const shapes = [...file.tensors.values()].map((t) => [t.name, t.dtype, t.shape.join("x")]);
      assertEquals(shapes, [
        ["head.bias", "F32", "2"],
        ["head.weight", "F16", "2x32"],
        [fc1, dtype, `3x${width}`],
        [`${fc1}.scales`, "F16", "3x2"],
        ["odd", "U8", "3"],
      ]);
      assertEquals(file.metadata.quantisation, type);
      file.close();
      const shown = fakeIo();
      assertEquals(await main(["inspect", to], shown), 0);
      assertStringIncludes(shown.text(), "4 tensors (1 F32, 1 F16, 1 U8, 1 " + type + "), 261 par");
      assertStringIncludes(shown.text(), `${fc1}  ${type}  [3, 64]`);
      assert(!shown.text().includes("scales"), shown.text());

      await convertFile(to, again, { type });
      assertEquals(await Deno.readFile(again), await Deno.readFile(to), "as it is");
      await convertFile(to, again);
      assertEquals(await Deno.readFile(again), await Deno.readFile(to), "as it is");
      await assertRejects(
        () => convertFile(to, again, { type: "f16" }),
        CheckpointError,
        `b.safetensors" to f16: it is already stored as ${type}; convert the original`,
      );
    }
  });
});

Deno.test("convertFile() refuses values that q8_0 cannot hold, and leaves nothing", async () => {
  await inFolder(async (folder) => {
    const [from, to] = [join(folder, "a.safetensors"), join(folder, "b.safetensors")];
    const data = new Float32Array(32).fill(1e9);
    await Deno.writeFile(
      from,
      small({ name: "blocks.1.ffn.fc1.weight", dtype: "F32", shape: [1, 32], data }),
    );
    await assertRejects(
      () => convertFile(from, to, { type: "q8_0" }),
      CheckpointError,
      '1 numbers are too large for q8_0, the first one in tensor "blocks.1.ffn.fc1.weight"',
    );
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["a.safetensors"]);
  });
});

Deno.test("checkTensors() accepts quantised blocks with their scales", () => {
  const config = parseConfig(findPreset("125m").config, "125m");
  type Info = { dtype: string; shape: readonly number[] };
  const file = (change: (tensors: Map<string, Info>) => void, q4: boolean) => {
    const tensors = new Map<string, Info>();
    for (const [name, shape] of parameterShapes(config.transformer)) {
      const [N, K] = shape as [number, number];
      const blocks = isQuantisable(name, shape);
      const stored = blocks ? [N, q4 ? K / 2 : K] : shape;
      tensors.set(name, { dtype: blocks ? q4 ? "U8" : "I8" : "F16", shape: stored });
      if (blocks) tensors.set(`${name}.scales`, { dtype: "F16", shape: [N, K / 32] });
    }
    change(tensors);
    return { name: "t", metadata: {}, tensors } as unknown as Parameters<typeof checkTensors>[2];
  };
  const key = "block_chunks.0.module.0.ffn.fc1.weight";
  const scales = `${key}.scales`;
  for (const q4 of [false, true]) {
    const refuses = (change: (tensors: Map<string, Info>) => void, why: string) =>
      assertThrows(
        () => checkTensors(config, "transformer", file(change, q4)),
        CheckpointError,
        `Cannot load "t": ${why}`,
      );
    checkTensors(config, "transformer", file(() => {}, q4));
    refuses((t) => t.delete(scales), `1 tensor missing: "${scales}"`);
    refuses((t) => t.delete(key), `1 tensor missing: "${key}"`);
    const type = q4 ? "q4_0" : "q8_0";
    refuses(
      (t) => t.set(scales, { dtype: "F32", shape: [3072, 24] }),
      `tensor "${scales}" is F32 [3072, 24], ${type} blocks of [3072, 768] need F16 [3072, 24]`,
    );
    refuses(
      (t) => t.set(key, { dtype: q4 ? "U8" : "I8", shape: [3072, 64] }),
      `tensor "${key}" is [3072, ${q4 ? 128 : 64}] in ${type}, config.json makes it [3072, 768]`,
    );
    refuses(
      (t) => t.set("head.weight.scales", { dtype: "F16", shape: [1] }),
      '1 tensor that config.json does not describe: "head.weight.scales"',
    );
  }
});

Deno.test("assembleFolder() quantises transformer and text encoder, and writes the rest as f16", async () => {
  const config = parseConfig(TINY.config, "tiny");
  await inFolder(async (folder) => {
    const parts = {
      transformer: parameterShapes(config.transformer),
      vae: vaeShapes(config.vae),
      text_encoder: t5Shapes(config.text_encoder!),
    };
    const at = (name: string) => join(folder, name);
    for (const [part, shapes] of Object.entries(parts)) {
      await Deno.writeFile(at(part), encode([...shapes]));
    }
    await Deno.writeTextFile(at("tokenizer"), '{"version":"1.0"}');
    const text = { weights: at("text_encoder"), tokenizer: at("tokenizer") };
    const release = { transformer: at("transformer"), vae: at("vae"), text };
    const made = await assembleFolder(release, at("made"), TINY, { type: "q8_0" });
    for (const part of Object.keys(parts) as (keyof typeof parts)[]) {
      const file = await openTensorFile(join(at("made"), made.config.files[part]));
      checkTensors(made.config, part, file);
      assertEquals(file.metadata.quantisation, "q8_0");
      const blocks = [...file.tensors.values()].filter(({ dtype }) => dtype === "I8").length;
      // rows of T5's o and wo are half a block
      assertEquals(blocks, { transformer: 12, vae: 0, text_encoder: 5 }[part], part);
      file.close();
    }
  });
});
