import { assert, assertEquals, assertRejects } from "@std/assert";
import { Device, KernelError } from "../../../engine/mod.ts";
import {
  attentionBackward,
  type AttentionBackwardArgs,
} from "../../../kernels/attention/attention_backward.ts";
import { backwardMatrices } from "../../../kernels/attention/attention_backward_matrix.ts";
import { provesBackward } from "../../../kernels/attention/attention_backward_proof.ts";
import { provenTuning } from "../../../model/parts/tuning.ts";

const gpu = await Device.open({ class: "gpu" });
globalThis.addEventListener("unload", () => gpu.dispose());
const WIDTHS = [20, 64, 128];
const obstacle = backwardMatrices(gpu, 64)
  ? null
  : `no f16 matrices on ${gpu.capabilities.adapter}`;
if (obstacle) console.log(`attention_backward_proof_test.ts skips tests: ${obstacle}`);
const needF16 = gpu.capabilities.f16 ? null : "needs shader-f16";
if (needF16) console.log(`attention_backward_proof_test.ts skips tests: ${needF16}`);

Deno.test({
  name: "provesBackward() accepts what is right, and refuses what is nearly right",
  ignore: needF16 !== null,
  fn: async () => {
    const by = (change: Partial<AttentionBackwardArgs>) =>
      provesBackward(
        gpu,
        64,
        (args) => attentionBackward(gpu, { ...args, variant: "tiles", ...change }),
      );
    const live = gpu.memory.liveBytes;
    assert(await by({}));
    assert(!await by({ scale: 1.02 }));
    assert(!await by({ kOffset: 4, kStride: 124 })); // as if rows of keys began elsewhere
    assert(!await by({ dk: null })); // rows that nothing writes
    assertEquals(gpu.memory.liveBytes, live);
  },
});

Deno.test({
  name: "provesBackward() proves attention backwards on tensor cores",
  ignore: obstacle !== null,
  fn: async () => {
    for (const width of WIDTHS) assert(await provesBackward(gpu, width), `${width}`);
    const tuning = await provenTuning(gpu, undefined, [64], ["attention backward"]);
    assertEquals(tuning, { "attention backward": [[0, "matrix"]] });
  },
});

Deno.test({
  name: "provesBackward() refuses a device without tensor cores",
  ignore: obstacle === null || needF16 !== null,
  fn: async () => {
    await assertRejects(() => provesBackward(gpu, 64), KernelError, "by matrices");
  },
});
