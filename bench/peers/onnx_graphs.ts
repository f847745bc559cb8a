import { EPS, type Problem, transpose } from "./cases.ts";
import { Unsupported } from "./engine.ts";
import type { Node } from "./onnx.ts";

type Data = Float32Array<ArrayBuffer>;

/** Work as a graph of one or several nodes from inputs to `y`. */
export interface Operation {
  readonly nodes: readonly Node[];
  readonly inputs: Readonly<
    Record<string, readonly [data: Data, ...shape: number[]]>
  >;
  readonly constants: Readonly<
    Record<
      string,
      readonly [data: Data | BigInt64Array<ArrayBuffer>, ...shape: number[]]
    >
  >;
  readonly shape: readonly number[];
  /** Converts the result to the problem's layout, if it differs. */
  readonly layout?: (y: Data) => Float32Array;
}

/**
 * Writes a problem in the way that was measured to be the fastest: JSEP's MultiHeadAttention takes six times as long as
 * its parts, and InstanceNormalization up to five times as long as LayerNormalization of the same groups.
 */
export function operation(problem: Problem, jsep: boolean): Operation {
  const microsoft = { domain: "com.microsoft" };
  switch (problem.op) {
    case "mlp_step":
    case "attention_step":
      throw new Unsupported("does not train");
    case "matmul": {
      const { M, K, N, x, w } = problem;
      return {
        nodes: [{ op: "MatMul", inputs: ["x", "w"], outputs: ["y"] }],
        inputs: { x: [x, M, K] },
        constants: { w: [w, K, N] },
        shape: [M, N],
      };
    }
    case "attention": {
      const { heads, queries, keys, headDim, q, k, v } = problem;
      const scale = 1 / Math.sqrt(headDim);
      if (!jsep) {
        const width = heads * headDim;
        return {
          nodes: [{
            ...microsoft,
            op: "MultiHeadAttention",
            inputs: ["q", "k", "v"],
            outputs: ["y"],
            attributes: { num_heads: { i: heads }, scale: { f: scale } },
          }],
          inputs: {
            q: [q, 1, queries, width],
            k: [k, 1, keys, width],
            v: [v, 1, keys, width],
          },
          constants: {},
          shape: [1, queries, width],
        };
      }
      const byHead = (data: Data, rows: number, ...axes: number[]) =>
        transpose(data, [rows, heads, headDim], axes);
      return {
        nodes: [
          { op: "Mul", inputs: ["q", "scale"], outputs: ["scaled"] },
          { op: "MatMul", inputs: ["scaled", "k"], outputs: ["logits"] },
          { op: "Softmax", inputs: ["logits"], outputs: ["weights"] },
          { op: "MatMul", inputs: ["weights", "v"], outputs: ["y"] },
        ],
        inputs: {
          q: [byHead(q, queries, 1, 0, 2), heads, queries, headDim],
          k: [byHead(k, keys, 1, 2, 0), heads, headDim, keys],
          v: [byHead(v, keys, 1, 0, 2), heads, keys, headDim],
        },
        constants: { scale: [Float32Array.of(scale), 1] },
        shape: [heads, queries, headDim],
        layout: (y) => transpose(y, [heads, queries, headDim], [1, 0, 2]),
      };
    }
    case "conv2d": {
      // channels last: the optimiser removes both transpositions, as it does between the layers of a network
      const { size, C, N, x, w, bias } = problem;
      const turn = (from: string, to: string, ...perm: number[]) => (
        {
          op: "Transpose",
          inputs: [from],
          outputs: [to],
          attributes: { perm: { ints: perm } },
        }
      );
      return {
        nodes: [
          turn("x", "chw", 0, 3, 1, 2),
          {
            op: "Conv",
            inputs: ["chw", "w", "b"],
            outputs: ["nhw"],
            attributes: {
              kernel_shape: { ints: [3, 3] },
              pads: { ints: [1, 1, 1, 1] },
            },
          },
          turn("nhw", "y", 0, 2, 3, 1),
        ],
        inputs: { x: [x, 1, size, size, C] },
        constants: {
          w: [transpose(w, [3, 3, C, N], [3, 2, 0, 1]), N, C, 3, 3],
          b: [bias, N],
        },
        shape: [1, size, size, N],
      };
    }
    case "layer_norm": {
      const { M, C, x, weight, bias } = problem;
      return {
        nodes: [{
          op: "LayerNormalization",
          inputs: ["x", "w", "b"],
          outputs: ["y"],
          attributes: { epsilon: { f: EPS } },
        }],
        inputs: { x: [x, M, C] },
        constants: { w: [weight, C], b: [bias, C] },
        shape: [M, C],
      };
    }
    case "group_norm": {
      const { size, C, groups, x, weight, bias } = problem;
      const area = size * size;
      const width = C / groups * area;
      return {
        nodes: [
          {
            op: "LayerNormalization",
            inputs: ["x", "ones"],
            outputs: ["normal"],
            attributes: { epsilon: { f: EPS } },
          },
          { op: "Reshape", inputs: ["normal", "shape"], outputs: ["channels"] },
          { op: "Mul", inputs: ["channels", "w"], outputs: ["scaled"] },
          { op: "Add", inputs: ["scaled", "b"], outputs: ["y"] },
        ],
        inputs: { x: [transpose(x, [area, C], [1, 0]), groups, width] },
        constants: {
          shape: [BigInt64Array.of(BigInt(C), BigInt(area)), 2],
          ones: [new Float32Array(width).fill(1), width],
          w: [weight, C, 1],
          b: [bias, C, 1],
        },
        shape: [C, area],
        layout: (y) => transpose(y, [C, area], [1, 0]),
      };
    }
    case "gated_gelu": {
      const { M, C, x, gate } = problem;
      return {
        nodes: [
          { ...microsoft, op: "FastGelu", inputs: ["x"], outputs: ["gelu"] },
          { op: "Mul", inputs: ["gelu", "gate"], outputs: ["y"] },
        ],
        inputs: { x: [x, M, C], gate: [gate, M, C] },
        constants: {},
        shape: [M, C],
      };
    }
    case "silu": {
      const { M, C, x } = problem;
      return {
        nodes: [{
          ...microsoft,
          op: "QuickGelu",
          inputs: ["x"],
          outputs: ["y"],
          attributes: { alpha: { f: 1 } },
        }],
        inputs: { x: [x, M, C] },
        constants: {},
        shape: [M, C],
      };
    }
    case "resize": {
      const { from, to, C, x } = problem;
      return {
        nodes: [{
          op: "Resize",
          inputs: ["x", "", "scales"],
          outputs: ["y"],
          attributes: {
            mode: { s: "linear" },
            coordinate_transformation_mode: { s: "half_pixel" },
          },
        }],
        inputs: {
          x: [transpose(x, [from * from, C], [1, 0]), 1, C, from, from],
        },
        constants: { scales: [Float32Array.of(1, 1, to / from, to / from), 4] },
        shape: [1, C, to, to],
        layout: (y) => transpose(y, [C, to * to], [1, 0]),
      };
    }
  }
}
