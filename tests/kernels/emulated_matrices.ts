/**
 * Subgroup matrices in plain WGSL, to run kernels in the form that a GPU gets where there is none. Lanes of an emulated
 * subgroup do not run in step, so an exchange between them without a barrier shows, and so does a matrix that is not
 * aligned to 16 bytes: it is NaN.
 *
 * @module
 */

import type { Device, SubgroupMatrix } from "../../engine/mod.ts";
import { DAWN } from "../backend.ts";
import { device } from "../harness.ts";

/** For the name of a test that emulates matrices: why it is skipped, or nothing. */
export const NEED_EMULATION: string = !DAWN
  ? " (skipped: runs on Dawn)"
  : device.capabilities.limits.maxComputeWorkgroupStorageSize! < 32768
  ? " (skipped: no room for tiles)"
  : "";

/** Lanes of an emulated subgroup; shuffles stay within real ones. */
const LANES = 32;

/**
 * Makes `device` (on Dawn) run kernels as if it had subgroups of 32 lanes and this matrix, until the result is
 * disposed.
 *
 * @param device Its capabilities change.
 */
export function emulateMatrix(device: Device, M: number, N: number, K: number): Disposable {
  const { gpu, capabilities } = device;
  const before = { ...capabilities };
  const matrix: SubgroupMatrix = {
    componentType: "f16",
    resultComponentType: "f32",
    M,
    N,
    K,
  };
  const make = gpu.createShaderModule;
  gpu.createShaderModule = (descriptor) =>
    make.call(gpu, { ...descriptor, code: withoutMatrices(descriptor.code, M, N, K) });
  Object.assign(capabilities, {
    f16: true,
    subgroups: true,
    subgroupSize: LANES,
    subgroupMatrices: [matrix],
  });
  return {
    [Symbol.dispose]() {
      Object.assign(capabilities, before);
      gpu.createShaderModule = make;
    },
  };
}

/**
 * LANES / M lanes share a row of a result. Each has the left matrix's row and the right one's columns that it needs.
 */
function withoutMatrices(code: string, M: number, N: number, K: number): string {
  if (!code.includes("subgroupMatrix")) return code;
  const split = LANES / M, columns = N / split;
  const sizes: Readonly<Record<string, number>> = {
    Left: K,
    Right: K * columns,
    Result: columns,
  };
  const row = `emulated_lane / ${split}`, column = `emulated_lane % ${split} * ${columns}`;
  const functions = new Map<string, string>();
  const holds = (array: string, type: string) =>
    new RegExp(`\\b${array}: array<${type}`).test(code);
  const aligned = (array: string) =>
    holds(array, "vec4<f16>") ? "start % 2 == 0 && pitch % 2 == 0" : "true";
  const load = (type: string, order: string, array: string) => {
    const name = `load_${type}_${order}_${array}`;
    const i = type === "Right" ? `e / ${columns}` : row;
    const j = { Left: "e", Right: `${column} + e % ${columns}` }[type] ?? `${column} + e`;
    const [outer, inner] = order === "row" ? [i, j] : [j, i];
    functions.set(
      name,
      `fn ${name}(start: u32, pitch: u32) -> ${type} {
        var m: ${type};
        for (var e = 0u; e < ${sizes[type]}; e++) {
          let at = ${holds(array, "vec4<u32>") ? 8 : 4} * (start + (${outer}) * pitch) + ${inner};
          m[e] = select(bitcast<f32>(0x7fc00000u + start), ${
        holds(array, "vec4<u32>")
          ? `unpack2x16float(${array}[at / 8][at % 8 / 2])[at % 2]`
          : `f32(${array}[at / 4][at % 4])`
      }, ${aligned(array)});
        }
        return m;
      }`,
    );
    return `${name}(`;
  };
  const store = (array: string) => {
    const name = `store_${array}`;
    functions.set(
      name,
      `fn ${name}(start: u32, result: Result, pitch: u32) {
        var m = result;
        for (var e = 0u; e < ${columns}; e++) {
          let at = 4 * (start + ${row} * pitch) + ${column} + e;
          ${array}[at / 4][at % 4] = ${holds(array, "vec4<u32>") ? "bitcast<u32>(m[e])" : "m[e]"};
        }
      }`,
    );
    return `${name}(`;
  };
  const text = code
    .replace(/enable chromium\w+;/, "")
    .replace(
      /alias (Left|Right|Result) = .*;/g,
      (_, type) => `alias ${type} = array<f32, ${sizes[type]}>;`,
    )
    .replace(
      /subgroupMatrixLoad<(\w+), (row|col)_major>\(\s*&(\w+),/g,
      (_, ...names) => load(names[0], names[1], names[2]),
    )
    .replace(/subgroupMatrixStore<row_major>\(\s*&(\w+),/g, (_, array) => store(array))
    .replace(/@builtin\(subgroup_id\) \w+: u32,/, "")
    .replace(/@builtin\(subgroup_invocation_id\) \w+: u32,/, "")
    .replace(/fn main\([^]*?\) \{/, (main) => {
      const index = /@builtin\(local_invocation_index\) (\w+)/.exec(main)![1];
      const names = [["subgroup_id", "/"], ["subgroup_invocation_id", "%"]].flatMap(
        ([builtin, by]) => {
          const name = new RegExp(`@builtin\\(${builtin}\\) (\\w+)`).exec(code)?.[1];
          return name ? [`let ${name} = ${index} ${by} ${LANES};`] : [];
        },
      );
      return `${main}\nemulated_lane = (${index} + 8) % ${LANES}; // so that a lane has other elements than it reads later\n${
        names.join("\n")
      }`;
    });
  return `${text}
var<private> emulated_lane: u32;
fn subgroupMatrixMultiplyAccumulate(left: Left, right: Right, sum: Result) -> Result {
  var a = left;
  var b = right;
  var s = sum;
  for (var j = 0u; j < ${columns}; j++) {
    for (var k = 0u; k < ${K}; k++) { s[j] += a[k] * b[k * ${columns} + j]; }
  }
  return s;
}
${[...functions.values()].join("\n")}`;
}
