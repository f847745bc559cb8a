import { assertEquals } from "@std/assert";
import type { TensorFile } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import { openFolder } from "../../../model/checkpoint/folder.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { parseT5, parseTransformer, parseVae } from "../../../model/config/config_parts.ts";
import { T5Encoder } from "../../../model/text/t5.ts";
import { Transformer } from "../../../model/transformer/transformer.ts";
import { VaeDecoder } from "../../../model/vae/vae.ts";
import { device } from "../../harness.ts";

const folder = openFolder(new URL("../../../assets/models/emoji-nano/", import.meta.url));
const config = parseConfig(await folder.json("config.json"), "config.json");

/** Constant buffers. */
const CONSTANT = /zero_k_bias$|^quantizer?e?\.lfq\.mask$/;

function assertSame(file: TensorFile, shapes: Iterable<NamedShape>): void {
  const sorted = (list: Iterable<NamedShape>) => [...list].sort(([a], [b]) => a < b ? -1 : 1);
  const held = Array.from(file.tensors.values(), ({ name, shape }): NamedShape => [name, shape]);
  const made = [...shapes];
  assertEquals(new Set(made.map(([name]) => name)).size, made.length, "names are unique");
  assertEquals(sorted(made), sorted(held.filter(([name]) => !CONSTANT.test(name))));
}

Deno.test("golden: the shapes match official checkpoints", async () => {
  for (const name of ["transformer_tiny", "transformer_patchify"]) {
    const { config, file } = await golden(name);
    assertSame(file, parameterShapes(parseTransformer(config, name, config.d_vae)));
  }
  for (const name of ["vae_d16", "vae_patchify"]) {
    const { config, file } = await golden(name);
    // the packed copies in tests/ hold the decoders only
    const whole = file.tensors.has("encoder.conv_in.conv.weight");
    const shapes = [...vaeShapes(parseVae(config, name))];
    assertSame(file, shapes.filter(([tensor]) => whole || tensor.startsWith("decoder.")));
  }
  const { config, file } = await golden("t5_tiny");
  assertSame(file, t5Shapes(parseT5(config, "t5_tiny")));
});

Deno.test("the shapes match the model in the box, and the tensors its loaders read", async () => {
  const parts = [
    [
      config.files.transformer,
      [...parameterShapes(config.transformer)],
      (weights: Weights) => Transformer.load(weights, config.transformer),
    ],
    [
      config.files.vae,
      [...vaeShapes(config.vae)],
      (weights: Weights) => VaeDecoder.load(weights, config.vae),
    ],
    [
      config.files.text_encoder,
      [...t5Shapes(config.text_encoder!)],
      (weights: Weights) => T5Encoder.load(weights, config.text_encoder!),
    ],
  ] as const;
  for (const [name, shapes, load] of parts) {
    const file = await folder.tensors(name);
    assertSame(file, shapes);
    const read = new Set<string>();
    const spy: TensorFile = {
      name,
      metadata: file.metadata,
      tensors: file.tensors,
      get: (tensor) => file.get(tensor),
      read: (tensor) => (read.add(tensor), file.read(tensor)),
      readFloat32: (tensor) => (read.add(tensor), file.readFloat32(tensor)),
      chunks: (tensor, bytes) => (read.add(tensor), file.chunks(tensor, bytes)),
      close: () => {},
    };
    const loaded = await load(new Weights(device, spy, "f32"));
    loaded.dispose();
    file.close();
    const decoded = shapes.map(([name]) => name).filter((name) =>
      !/^encoder\.(?!bl|fi)/.test(name)
    );
    assertEquals([...read].sort(), decoded.sort(), name);
  }
});
