import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { tokenInput } from "../../../kernels/tokens/token_input.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

Deno.test("tokenInput() joins the start token and the words, repeated for the unconditional half", async () => {
  const next = random(11);
  for (const [B, L, C, images] of [[2, 1, 4, 1], [4, 5, 12, 2], [3, 7, 8, 3]] as const) {
    const pooled = values(next, B * C), position = values(next, C);
    const table = values(next, 3 * C), level = Uint32Array.from({ length: L }, (_, l) => 2 - l % 3);
    for (const [skip, dtype] of [[0, "f32"], [1, "f32"], [0, "f16"], [1, "f16"]] as const) {
      const words = L > skip ? values(next, images * (L - skip) * C, dtype) : null;
      const y = poisoned("f32", [B, L, C]);
      tokenInput(device, {
        start: skip
          ? { pooled: upload("f32", [B, C], pooled), position: upload("f32", [C], position) }
          : null,
        words: words && upload(dtype, [images, L - skip, C], words),
        table: upload("f32", [3, C], table),
        level: upload("u32", [L], level),
        y,
      });
      const sizes = { B, L, C, images, skip };
      const expected = reference.tokenInput({ ...sizes, pooled, position, words, table, level });
      await assertTensor(y, expected, TOLERANCE.f32, `[${B},${L},${C}] ${dtype} skip ${skip}`);
    }
  }
});

Deno.test("tokenInput() refuses shapes that disagree", () => {
  const table = poisoned("f32", [3, 4]), y = poisoned("f32", [1, 2, 4]);
  for (
    const given of [
      { words: null, level: poisoned("u32", [2]) },
      { words: poisoned("f32", [1, 2, 4]), level: poisoned("u32", [3]) },
    ]
  ) {
    assertThrows(
      () => tokenInput(device, { start: null, ...given, table, y }),
      KernelError,
      "Cannot make tokens [1,2,4]",
    );
  }
});
