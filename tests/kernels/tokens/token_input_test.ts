import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
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
});

Deno.test("tokenInput() refuses shapes that disagree", () => {
  assertThrows(
    () => tokenInput(device, { start: null, words: null, y: poisoned("f32", [1, 2, 4]) }),
    KernelError,
    "Cannot make tokens [1,2,4]",
  );
});
