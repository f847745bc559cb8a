import type { NamedShape } from "../../checkpoint/tensor_shapes.ts";
import type { ParameterSpec } from "../tape/parameters.ts";

/** Matrices that are tables of vectors, not products. */
const TABLES = /^shared\.weight$|lvl_embed\.weight$|relative_attention_bias\.weight$/;

/**
 * Lists parameters of a checkpoint as the official optimiser groups them (infinity/utils/lr_control.py): matrices and
 * convolutions decay; biases, norms, embeddings, learnt vectors and scales do not.
 */
export function parameterSpecs(shapes: Iterable<NamedShape>): ParameterSpec[] {
  return [...shapes].map(([name, shape]) => ({
    name,
    shape,
    decay: name.endsWith(".weight") && shape.length > 1 && !TABLES.test(name),
  }));
}
