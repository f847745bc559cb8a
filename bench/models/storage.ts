import { InfinityModel } from "../../model/infinity.ts";
import { WEIGHT_TYPES, type WeightType } from "../../kernels/linear/weight_types.ts";
import type { Result } from "../../model/generate/images.ts";

const PROMPTS = ["red apple", "a cute dog face emoji", "rocket", "purple cat"];
const SCALES = 4;

/** What a storage type costs emoji-nano, compared with f32. */
export interface StorageRow {
  /** Storage type of weights and cache. */
  readonly type: WeightType;
  /** Bytes of weights on the GPU. */
  readonly weights: number;
  /** Relative error of the logits after guidance, of the worst scale. */
  readonly error: number;
  /** Share of bits that stay the same. */
  readonly agreement: number;
}

type Bits = Uint8Array[];

function deltas(result: Result, scale: number): Float32Array {
  return result.trace.find(({ name }) => name === `scale${scale}.logit_delta`)!
    .data as Float32Array;
}

/** Runs greedily with f32's bits forced, so that one bit that flips does not hide the error of the rest. */
export async function benchStorage(): Promise<StorageRow[]> {
  const rows: StorageRow[] = [];
  let exact: Result[] = [];
  for (const type of WEIGHT_TYPES) {
    using model = await InfinityModel.load("emoji-nano", { type });
    const weights = model.device.memory.liveBytes;
    const results: Result[] = [];
    for (const [p, prompt] of PROMPTS.entries()) {
      const forceBits: Bits | undefined = exact[p] &&
        Array.from(
          { length: SCALES },
          (_, s) => Uint8Array.from(deltas(exact[p]!, s), (delta) => delta > 0 ? 1 : 0),
        );
      results.push(await model.generate({ prompt, greedy: true, trace: true, forceBits }));
    }
    if (type === "f32") exact = results;
    let worst = 0;
    let bits = 0;
    let same = 0;
    for (let s = 0; s < SCALES; s++) {
      let error = 0;
      let norm = 0;
      for (const p of PROMPTS.keys()) {
        const want = deltas(exact[p]!, s);
        deltas(results[p]!, s).forEach((delta, i) => {
          error += (delta - want[i]!) ** 2;
          norm += want[i]! ** 2;
          bits++;
          if ((delta > 0) === (want[i]! > 0)) same++;
        });
      }
      worst = Math.max(worst, Math.sqrt(error / norm));
    }
    rows.push({ type, weights, error: worst, agreement: same / bits });
  }
  return rows;
}
