import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { guide } from "../../../kernels/elementwise/guide.ts";
import { silu } from "../../../kernels/elementwise/silu.ts";
import { adaVectors } from "../../../kernels/norm/ada_vectors.ts";
import { addLevel } from "../../../kernels/tokens/add_level.ts";
import { copyRows } from "../../../kernels/tokens/copy_rows.ts";
import { tokenInput } from "../../../kernels/tokens/token_input.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";

Deno.test("tokenInput() joins the start token and the words, repeated for the unconditional half", async () => {
  const next = random(11);
  for (const [B, L, C, images] of [[2, 1, 4, 1], [4, 5, 12, 2], [3, 7, 8, 3]] as const) {
    const pooled = values(next, B * C), position = values(next, C);
    for (const skip of [0, 1]) {
      const words = L > skip ? values(next, images * (L - skip) * C) : null;
      const y = poisoned("f32", [B, L, C]);
      tokenInput(device, {
        start: skip
          ? { pooled: upload("f32", [B, C], pooled), position: upload("f32", [C], position) }
          : null,
        words: words && upload("f32", [images, L - skip, C], words),
        y,
      });
      const expected = Float64Array.from({ length: B * L * C }, (_, i) => {
        const c = i % C, l = Math.floor(i / C) % L, b = Math.floor(i / C / L);
        if (l < skip) return pooled[b * C + c]! + position[c]!;
        return words![((b % images) * (L - skip) + l - skip) * C + c]!;
      });
      await assertTensor(y, expected, TOLERANCE.f32, `[${B},${L},${C}] skip ${skip}`);
    }
  }
  assertThrows(
    () => tokenInput(device, { start: null, words: null, y: poisoned("f32", [1, 2, 4]) }),
    KernelError,
    "Cannot make tokens [1,2,4]",
  );
});

Deno.test("addLevel() adds one table row per token", async () => {
  const next = random(12);
  for (const [B, L, C] of [[1, 1, 4], [3, 6, 20], [2, 33, 64]] as const) {
    const table = values(next, 15 * C), before = values(next, B * L * C);
    const level = Uint32Array.from({ length: L }, () => Math.floor(next() * 15));
    const y = upload("f32", [B, L, C], before);
    addLevel(device, { table: upload("f32", [15, C], table), level: upload("u32", [L], level), y });
    const expected = before.map((v, i) => v + table[level[Math.floor(i / C) % L]! * C + i % C]!);
    await assertTensor(y, expected, TOLERANCE.f32);
  }
  const y = poisoned("f32", [1, 2, 4]);
  assertThrows(() => addLevel(device, { table: y, level: y, y }), KernelError, "Cannot add levels");
});

Deno.test("adaVectors() adds each block's own vectors to the shared ones", async () => {
  const next = random(13);
  for (const [D, B, W] of [[1, 1, 4], [3, 2, 24], [5, 3, 132]] as const) {
    const shared = values(next, B * W), gss = values(next, D * W);
    const y = poisoned("f32", [D, B, W]);
    adaVectors(device, {
      shared: upload("f32", [B, W], shared),
      adaGss: upload("f32", [D, W], gss),
      y,
    });
    const expected = Float64Array.from(
      { length: D * B * W },
      (_, i) => shared[i % (B * W)]! + gss[Math.floor(i / (B * W)) * W + i % W]!,
    );
    await assertTensor(y, expected, TOLERANCE.f32);
  }
  const y = poisoned("f32", [1, 1, 8]);
  assertThrows(
    () => adaVectors(device, { shared: poisoned("f32", [1, 4]), adaGss: y, y }),
    KernelError,
    "Cannot add [1,4]",
  );
});

Deno.test("guide() mixes both halves in place", async () => {
  const next = random(14);
  for (const [B, L, C] of [[1, 1, 4], [2, 7, 12], [1, 65, 8]] as const) {
    const x = values(next, 2 * B * L * C), half = B * L * C;
    const y = upload("f32", [2 * B, L, C], x);
    guide(device, { y, cfg: 3.5 });
    const expected = x.map((_, i) => 3.5 * x[i % half]! - 2.5 * x[half + i % half]!);
    await assertTensor(y, expected, TOLERANCE.f32);
  }
  assertThrows(() => guide(device, { y: poisoned("f32", [2, 3]), cfg: 2 }), KernelError);
});

Deno.test("silu() is x · sigmoid(x)", async () => {
  const next = random(15);
  for (const count of [1, 5, 64, 1003]) {
    const x = values(next, count).map((v) => Math.fround(8 * v));
    const y = poisoned("f32", [count]);
    silu(device, { x: upload("f32", [count], x), y });
    await assertTensor(y, x.map((v) => v / (1 + Math.exp(-v))), TOLERANCE.f32);
  }
  const x = upload("f32", [4], [0, 1, 2, 3]);
  assertThrows(() => silu(device, { x, y: poisoned("f32", [5]) }), KernelError);
});

Deno.test("copyRows() copies the first rows of each image and nothing else", async () => {
  const next = random(16);
  for (const dtype of ["f32", "f16"] as const) {
    for (const [B, from, to, rows, C] of [[1, 1, 1, 1, 4], [3, 5, 9, 4, 12], [2, 70, 66, 65, 8]]) {
      const x = values(next, B! * from! * C!, dtype), before = values(next, B! * to! * C!, dtype);
      const y = upload(dtype, [B!, to!, C!], before);
      copyRows(device, { x: upload(dtype, [B!, from!, C!], x), y, rows: rows! });
      const expected = before.map((v, i) => {
        const r = Math.floor(i / C!) % to!, b = Math.floor(i / C! / to!);
        return r < rows! ? x[(b * from! + r) * C! + i % C!]! : v;
      });
      await assertTensor(y, expected, 0, `${dtype} [${B},${from},${C}]`);
    }
  }
  const y = poisoned("f32", [1, 2, 4]);
  assertThrows(
    () => copyRows(device, { x: y, y: poisoned("f32", [1, 2, 8]), rows: 1 }),
    KernelError,
  );
});
