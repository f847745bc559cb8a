import { assert, assertEquals } from "@std/assert";
import type { TensorFile } from "../../engine/mod.ts";
import type { Result } from "../../model/generate/images.ts";
import type { InfinityModel } from "../../model/infinity.ts";
import { assertNear } from "../harness.ts";

/** Tensors of a trace by name. */
export function traced(result: Result): (name: string) => number[] {
  const entries = new Map(result.trace.map((entry) => [entry.name, entry.data]));
  return (name) => Array.from(entries.get(name) as unknown as ArrayLike<number>);
}

/** Compares a model with what the official code computed for the prompts of an `expected.safetensors`. */
export async function assertReproduces(model: InfinityModel, expected: TensorFile): Promise<void> {
  const scales = model.config.scale_schedule.length;
  const tau = model.config.defaults.tau;
  const prompts: string[] = JSON.parse(expected.metadata.prompts!);
  for (const [p, prompt] of prompts.entries()) {
    const result = await model.generate({ prompt, greedy: true, trace: true });
    const at = traced(result);
    const golden = (name: string) => expected.readFloat32(`p${p}.${name}`);
    assertNear(at("text.features"), await golden("text_features"), 2e-5, `${prompt} features`);
    assertNear(at("text.cond"), await golden("sos"), 2e-5, `${prompt} sos`);
    assertNear(at("text.uncond"), await golden("sos_uncond"), 2e-5, `${prompt} sos_uncond`);
    for (let s = 0; s < scales; s++) {
      const logits = await golden(`logits.${s}`);
      const t = typeof tau === "number" ? tau : tau[s]!;
      const delta = Float64Array.from(
        { length: logits.length / 2 },
        (_, i) => (logits[2 * i + 1]! - logits[2 * i]!) / t,
      );
      assertNear(at(`scale${s}.logit_delta`), delta, 1e-4, `${prompt} logits ${s}`);
      const bits = await expected.read(`p${p}.bits.${s}`);
      assertEquals(Uint8Array.from(at(`scale${s}.bits`)), bits, `${prompt} bits ${s}`);
    }
    assertNear(at(`scale${scales - 1}.codes_sum`), await golden("codes"), 2e-5, `${prompt} codes`);
    const image = await expected.read(`p${p}.image_u8`) as Uint8Array;
    const most = Math.max(...at("image").map((v, i) => Math.abs(v - image[i]!)));
    assert(most <= 1, `${prompt}: image differs by ${most}`);
  }
}
