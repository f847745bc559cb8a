import { defineKernel, type Device, memoised } from "../../engine/mod.ts";
import { BINDINGS, PARAMS, type Product, productDispatch } from "./product.ts";
import { matrices, matrixLines, type TILES } from "../shared/matrix.ts";
import source from "./matmul_matrix.wgsl" with { type: "text" };

const kernel = defineKernel("matmul_matrix", source, BINDINGS, PARAMS);

/** Multiplies on tensor cores: {@link matmul} by tiles of subgroup matrices. */
export function matmulMatrix(device: Device, product: Product, variant: keyof typeof TILES): void {
  const { specialise, functions, ...operands } = productDispatch(product);
  const { M, N } = operands.params;
  const { specialise: constants, lineArgs, workgroups } = matrices(device, variant, M, N);
  device.run(kernel, {
    specialise: { ...specialise, ...constants },
    functions: prelude(functions, ...lineArgs),
    ...operands,
    workgroups,
  });
}

/** Returns all prelude lines. */
const prelude = memoised((
  lines: string,
  ...lineArgs: Parameters<typeof matrixLines>
): string => `${matrixLines(...lineArgs)}\n${lines}`);
