import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { CheckpointError, type TensorFile } from "../../../engine/mod.ts";
import { checkTensors, type Part } from "../../../model/checkpoint/check_tensors.ts";
import { vaeOfName } from "../../../model/checkpoint/vae_match.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { parseVae } from "../../../model/config/config_parts.ts";
import { findPreset, VAES } from "../../../model/config/presets.ts";
import type { ModelConfig } from "../../../model/config/types.ts";

/** A file that consists of a header only. */
function headers(
  name: string,
  shapes: Iterable<NamedShape>,
  metadata: Record<string, string> = {},
): TensorFile {
  const tensors = new Map(Array.from(shapes, ([name, shape]) => [name, { name, shape }]));
  return { name, metadata, tensors } as unknown as TensorFile;
}

function refusal(config: ModelConfig, part: Part, file: TensorFile): [string, string] {
  const error = assertThrows(() => checkTensors(config, part, file));
  assertInstanceOf(error, CheckpointError);
  assert(!error.message.includes("\n"), "one line");
  return [error.code, error.message];
}

const configOf = (name: string) => parseConfig(findPreset(name).config, name);
const [small, big, patchify] = [configOf("125m"), configOf("2b"), configOf("8b")];
const transformer = [...parameterShapes(small.transformer)];
const vae = [...vaeShapes(small.vae)];
const t5 = [...t5Shapes(small.text_encoder!)];
const vaeFile = (kind: keyof typeof VAES, name: string, metadata = {}) =>
  headers(name, vaeShapes(parseVae(VAES[kind].config, kind)), metadata);

Deno.test("checkTensors() accepts matching files, and harmless extra tensors", () => {
  const C = 768;
  checkTensors(small, "transformer", headers("t", transformer));
  checkTensors(
    small,
    "transformer",
    headers("t", [
      ...transformer,
      ["block_chunks.0.module.0.sa.zero_k_bias", [C]],
      ["text_proj_for_sos.ca.zero_k_bias", [C]],
      ["lvl_1L", [1, 521]],
      ["attn_bias_for_masking", [1, 1, 521, 521]],
      ["Infinity_visible_kvlen", [521]],
      ["Infinity_invisible_qlen", [521]],
    ]),
  );
  checkTensors(small, "vae", headers("v", [...vae, ["quantizer.lfq.mask", [16]]]));
  checkTensors(small, "vae", headers("v", vae.filter(([name]) => name.startsWith("decoder."))));
  const older = vae.map(([name, shape]): NamedShape => [
    name.replace(/\.(conv|norm)\.(weight|bias)$/, ".$2"),
    shape,
  ]);
  checkTensors(small, "vae", headers("v", older));
  checkTensors(small, "text_encoder", headers("e", t5));
  const shared: NamedShape = ["encoder.embed_tokens.weight", [32128, 2048]];
  checkTensors(small, "text_encoder", headers("e", [...t5.slice(1), shared]));
  checkTensors(
    small,
    "text_encoder",
    headers("e", [...t5, shared, ["lm_head.weight", [32128, 2048]], ["decoder.x", [1]]]),
  );
});

Deno.test("checkTensors() lists missing and extra tensors: the first five, and how many more", () => {
  const norms = transformer.filter(([name]) => !name.includes("ca_norm"));
  const at = (i: number, kind: string) =>
    `"block_chunks.${Math.floor(i / 3)}.module.${i % 3}.ca_norm.${kind}"`;
  const first = [0, 1].flatMap((i) => [at(i, "weight"), at(i, "bias")]).concat(at(2, "weight"));
  assertEquals(refusal(small, "transformer", headers("t.safetensors", norms)), [
    "missing-tensor",
    `Cannot load "t.safetensors": 24 tensors missing: ${first.join(", ")} and 19 more`,
  ]);
  const renamed = transformer.map(([name, shape]): NamedShape => [
    name === "head.bias" ? "head.bais" : name,
    shape,
  ]);
  assertEquals(refusal(small, "transformer", headers("t", renamed)), [
    "missing-tensor",
    'Cannot load "t": 1 tensor missing: "head.bias"; ' +
    '1 tensor that config.json does not describe: "head.bais"',
  ]);
  const deeper = [...parameterShapes({ ...small.transformer, depth: 16, block_chunks: 4 })];
  const [code, message] = refusal(
    { ...small, transformer: { ...small.transformer, depth: 3, block_chunks: 1 } },
    "transformer",
    headers(
      "t",
      deeper.map(([name, shape]) => [name.replace(/^block_chunks.0.module/, "blocks"), shape]),
    ),
  );
  assertEquals(code, "extra-tensor");
  assert(/does not describe: "blocks.3.ada_gss", .* and \d+ more$/.test(message), message);
});

Deno.test("checkTensors() says what another model's checkpoint looks like", () => {
  assertEquals(refusal(small, "transformer", headers("v", vae)), [
    "another-model",
    'Cannot load "v": it looks like a VAE, not an Infinity transformer: it has none of the 249 ' +
    'tensors that config.json needs, "cfg_uncond" is missing',
  ]);
  const says = (part: Part, file: TensorFile) => refusal(small, part, file)[1];
  assert(says("vae", headers("t", transformer)).includes("looks like an Infinity transformer"));
  assert(says("vae", headers("e", t5)).includes("looks like a T5 encoder, not a VAE"));
  assert(says("text_encoder", headers("v", vae)).includes("looks like a VAE, not a T5 encoder"));
  assert(says("vae", headers("x", [["x", [1]]])).includes("is the checkpoint of another model"));
  assert(says("vae", headers("x", [])).includes("it holds no tensors: it has none of"));
  // each official size is refused as every other
  for (const other of ["layer16", "1b", "2b", "8b", "20b"]) {
    says("transformer", headers(other, parameterShapes(configOf(other).transformer)));
  }
});

Deno.test("checkTensors() shows both shapes", () => {
  const wider = transformer.map(([name, shape]): NamedShape => [
    name,
    name === "head.weight" ? [64, 768] : name === "head.bias" ? [64] : shape,
  ]);
  assertEquals(refusal(small, "transformer", headers("t", wider)), [
    "wrong-shape",
    'Cannot load "t": tensor "head.weight" is [64, 768], config.json makes it [32, 768]; ' +
    "1 more differ",
  ]);
});

Deno.test("checkTensors() refuses another transformer's VAE, and names the right one", () => {
  const message = (config: ModelConfig, file: TensorFile) => {
    const [code, text] = refusal(config, "vae", file);
    assertEquals(code, "wrong-vae");
    return text;
  };
  assertEquals(
    message(big, vaeFile("d16", "vae.safetensors")),
    'Cannot use "vae.safetensors": its codes have 16 bits, the transformer predicts 32; ' +
      "use infinity_vae_d32reg.pth",
  );
  assertEquals(
    message(patchify, vaeFile("d16", "v")),
    'Cannot use "v": its codes have 16 bits, the transformer predicts 14 per patch; ' +
      "use infinity_vae_d56_f8_14_patchify.pth",
  );
  assertEquals(
    message({ ...big, name: "mine" }, vaeFile("d64", "v")),
    'Cannot use "v": its codes have 64 bits, the transformer predicts 32; ' +
      "use infinity_vae_d32.pth or infinity_vae_d32reg.pth",
  );
  const patch8 = parseVae(
    { ...VAES["d56-patchify"].config, codebook_dim: 32, z_channels: 32 },
    "x",
  );
  assertEquals(
    message(big, headers("v", vaeShapes(patch8))),
    'Cannot use "v": its codes are 8 pixels wide, config.json makes them 16; ' +
      "use infinity_vae_d32reg.pth",
  );
});

Deno.test("checkTensors() tells d32reg from d32 by name", () => {
  const named = (vae: string): ModelConfig => ({ ...big, files: { ...big.files, vae } });
  const plain = vaeFile("d32", "m/infinity_vae_d32.safetensors");
  assertEquals(refusal(named("infinity_vae_d32.safetensors"), "vae", plain), [
    "wrong-vae",
    'Cannot use "m/infinity_vae_d32.safetensors": infinity-2b was not trained with ' +
    "infinity_vae_d32.pth; use infinity_vae_d32reg.pth",
  ]);
  const source = vaeFile("d32", "vae.safetensors", { source: "infinity_vae_d32.pth" });
  assertEquals(refusal(named("vae.safetensors"), "vae", source)[0], "wrong-vae");
  checkTensors(big, "vae", vaeFile("d32reg", "infinity_vae_d32reg.safetensors"));
  checkTensors(named("infinity_vae_d32_reg.safetensors"), "vae", vaeFile("d32", "v"));
  checkTensors(named("vae.safetensors"), "vae", vaeFile("d32", "vae.safetensors"));
  // a model of another name may have been trained with either
  checkTensors({ ...named("infinity_vae_d32.safetensors"), name: "mine" }, "vae", plain);
});

Deno.test("vaeOfName() reads the official file names", () => {
  for (const [name, { files }] of Object.entries(VAES)) {
    for (const file of files) assertEquals(vaeOfName(`weights/${file}`), name);
  }
  assertEquals(vaeOfName("INFINITY_VAE_D32REG-f16.safetensors"), "d32reg");
  assertEquals(vaeOfName("infinity_vae_d24.safetensors.index.json"), "d24");
  for (const name of ["vae.safetensors", "infinity_vae_d99.pth", "infinity_vae_d32regular.pth"]) {
    assertEquals(vaeOfName(name), null);
  }
});
