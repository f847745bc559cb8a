import { assert, assertEquals } from "@std/assert";
import { Device } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import type { WeightType } from "../../../kernels/linear/weight_types.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import { device as plain, relativeError } from "../../harness.ts";
import { deltas, loadTiny, teacherForced } from "./golden_transformer.ts";

/** Relative error of logits with f16 weights and activations: far below the 9e-3 of the official bf16. */
const F16 = 2e-3;

/** A device that chooses what it would choose on a GPU. */
async function open(): Promise<Device> {
  const device = await Device.open({ class: "gpu" });
  globalThis.addEventListener("unload", () => device.dispose());
  return device;
}

const device = await open();

Deno.test("Weights keep activations in f16 on GPUs, where weights are not f32", async () => {
  const { file } = await golden("transformer_tiny");
  const of = (on: Device, type: WeightType) => new Weights(on, file, type).activations;
  assertEquals((["f32", "f16", "q8_0", "q4_0"] as const).map((type) => of(device, type)), [
    "f32",
    "f16",
    "f16",
    "f16",
  ]);
  if (plain.capabilities.class === "cpu") assertEquals(of(plain, "f16"), "f32");
});

for (
  const [name, vae] of [
    ["transformer_tiny", "vae_d16"],
    ["transformer_patchify", "vae_patchify"],
  ] as const
) {
  Deno.test(`golden: ${name} teacher-forced logits with f16 activations`, async () => {
    const expected = await golden(`${name}.golden`);
    const { config, transformer } = await loadTiny(device, name, vae, {}, "f16");
    const { delta, pooled } = await teacherForced(device, transformer, config, expected);
    transformer.dispose();
    const errors = [
      relativeError(delta, deltas(expected.tensor("tf.logits").data)),
      relativeError(pooled, expected.tensor("tf.cond_BD").data),
    ];
    assert(errors.every((error) => error <= F16), `logits, pooled text: ${errors}`);
    assertEquals(device.memory.liveBytes, 0);
  });
}
