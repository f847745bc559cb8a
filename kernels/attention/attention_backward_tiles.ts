/**
 * The sums of attention's backward pass by tiles, see attention_backward_tiles.wgsl.
 *
 * @module
 */

import { type Device, memoised } from "../../engine/mod.ts";
import { defineSums, launchSums, type SumsArgs } from "./attention_backward_launch.ts";
import { repeat } from "../shared/unroll.ts";
import source from "./attention_backward_tiles.wgsl" with { type: "text" };

const kernel = defineSums("attention_backward_tiles", source);

/** Own rows of a workgroup. */
const OWN = 64;

/** The variant `tiles`, which runs on any adapter. */
export function attentionBackwardTiles(device: Device, args: SumsArgs): void {
  const { limits } = device.capabilities;
  const depth = [8, 4].find((n) => bytes(n) <= limits.maxComputeWorkgroupStorageSize!) ?? 4;
  const pieces = Math.ceil(args.headDim / 32);
  launchSums(device, args, {
    kernel,
    own: OWN,
    specialise: { DEPTH: depth, PIECES: pieces },
    functions: unrolled(depth, pieces, args.keys),
  });
}

/** Workgroup memory. */
function bytes(depth: number): number {
  return 16 * (1 + depth * 4 * (2 * 17 + 2 * 9));
}

/** The loops over rows and channels: arrays stay in registers only under constant indices. */
const unrolled = memoised((depth: number, pieces: number, keys: boolean): string => {
  const others = (line: (j: number) => string) => repeat(depth / 2, line);
  const operand = (which: number) =>
    `mat4x4(${[0, 1, 2, 3].map((i) => `left[${which}][c][${i}][ti]`).join(", ")})`;
  // sums of 16 vec4s of channels, of which two are this invocation's
  const add = (group: number, keep: string, sums: readonly string[]) =>
    `${group === 0 && keep === "keep_x" ? "" : "workgroupBarrier();"}
${keep}(${16 * group});
workgroupBarrier();
for (var t = 0u; t < DEPTH; t++) {
${
      repeat(4, (u) =>
        `{ ${
          sums.map((name) =>
            `let w_${name} = left[${name === "g" ? 0 : 1}][t][${u}][ti];`
          )
            .join(" ")
        }
${
          repeat(Math.min(2, pieces - 2 * group), (p) =>
            `let x${p} = right[t][${u}][${p}][tj];\n${
              sums.map((name) => {
                const at = `sum_${name}[${2 * group + p}]`;
                return `${at} = add(${at}, w_${name}, x${p});`;
              }).join(" ")
            }`)
        } }`)
    }
}`;
  const groups = Math.ceil(pieces / 2);
  return `
fn reset() { ${others((j) => `s[${j}] = vec4<f32>(); g[${j}] = vec4<f32>();`)} }
fn score(c: u32) {
let x = ${operand(0)};
let y = ${operand(1)};
${others((j) => `s[${j}] += right[c][${j}][0][tj] * x; g[${j}] += right[c][${j}][1][tj] * y;`)}
}
fn finish_logits() { ${others((j) => `s[${j}] = logit(${8 * j} + tj, s[${j}]);`)} }
fn largest() -> vec4<f32> { var x = s[0]; ${others((j) => `x = max(x, s[${j}]);`)} return x; }
fn weigh_all() {
${
    others((j) =>
      `s[${j}] = weigh(${8 * j} + tj, s[${j}]); g[${j}] = s[${j}] * centred(${8 * j} + tj, g[${j}]);
total += s[${j}]; mean += g[${j}];`
    )
  }
}
fn share() {
${
    others((j) =>
      `left[0][${2 * j} + tj / 4][tj % 4][ti] = g[${j}]; left[1][${
        2 * j
      } + tj / 4][tj % 4][ti] = s[${j}];`
    )
  }
}
fn rescale(by: vec4<f32>) {
${
    repeat(
      pieces,
      (p) => `sum_g[${p}] = scaled(sum_g[${p}], by); sum_s[${p}] = scaled(sum_s[${p}], by);`,
    )
  }
}
fn add_all() {
${
    repeat(groups, (group) =>
      keys
        ? `${add(group, "keep_x", ["g"])}\n${add(group, "keep_y", ["s"])}`
        : add(group, "keep_x", ["g", "s"]))
  }
}
fn store_all(part: u32, by: vec4<f32>) {
${
    repeat(pieces, (p) =>
      repeat(4, (i) => {
        const [x, y] = [`sum_g[${p}][${i}]`, `sum_s[${p}][${i}]`];
        return keys
          ? `store(part, ${i}, ${p}, params.scale * ${x}, ${y});`
          : `store(part, ${i}, ${p}, params.scale * by[${i}] * (${x} - mean[${i}] * ${y}), vec4<f32>());`;
      }))
  }
}`;
});
