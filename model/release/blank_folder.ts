import {
  type ByteSource,
  CheckpointError,
  dtypeBytes,
  elementCount,
  quote,
  safetensorsHeader,
} from "../../engine/mod.ts";
import { isQuantised, type WeightType } from "../../kernels/linear/weight_types.ts";
import { type Folder, folderAt } from "../checkpoint/place.ts";
import { QUANTISATION } from "../checkpoint/quantised_blocks.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../checkpoint/tensor_shapes.ts";
import type { ModelConfig } from "../config/types.ts";
import { entriesOf, storedAs } from "./stored_as.ts";

/** A header, and zeros for all tensors after it. */
function zeros(name: string, shapes: Iterable<NamedShape>, type: WeightType): ByteSource {
  const entries = [...shapes].flatMap(([name, shape]) =>
    entriesOf({ name, shape, ...storedAs(name, shape, type) })
  );
  const header = safetensorsHeader(entries, isQuantised(type) ? { [QUANTISATION]: type } : {});
  const bytes = entries.reduce(
    (sum, { dtype, shape }) => sum + elementCount(shape) * dtypeBytes(dtype),
    header.length,
  );
  return {
    name,
    size: bytes,
    read(offset, length, into) {
      const read = into?.subarray(0, length).fill(0) ?? new Uint8Array(length);
      if (offset < header.length) read.set(header.subarray(offset, offset + length));
      return Promise.resolve(read);
    },
  };
}

/**
 * The folder of a model as `convert` would write it, but with zeros for weights: to plan with, where there are none. It
 * has neither a config.json nor a tokenizer.
 */
export function blankFolder(
  { name, files, transformer, vae, text_encoder }: ModelConfig,
  type: WeightType,
): Folder {
  const parts = new Map<string, Iterable<NamedShape>>([
    [files.transformer, [...parameterShapes(transformer)]],
    [files.vae, [...vaeShapes(vae)]],
    ...text_encoder ? [[files.text_encoder, [...t5Shapes(text_encoder)]] as const] : [],
  ]);
  return folderAt({
    path: (file) => `${name}/${file}`,
    has: (file) => Promise.resolve(parts.has(file)),
    open(file) {
      const shapes = parts.get(file);
      if (shapes) return Promise.resolve(zeros(file, shapes, type));
      throw new CheckpointError("no-part", `Cannot open ${quote(file)}: the folder is blank`);
    },
  });
}
