import { assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { adaVectors } from "../../../kernels/norm/ada_vectors.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";

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
    await assertTensor(y, reference.adaVectors(shared, gss, W), TOLERANCE.f32);
  }
});

Deno.test("adaVectors() refuses shapes that disagree", () => {
  const y = poisoned("f32", [1, 1, 8]);
  assertThrows(
    () => adaVectors(device, { shared: poisoned("f32", [1, 4]), adaGss: y, y }),
    KernelError,
    "Cannot add [1,4]",
  );
});
