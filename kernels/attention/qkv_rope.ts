import {
  defineKernel,
  type Device,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { narrowLines } from "../shared/narrow.ts";
import { headLanes, totalLines } from "./qkv_rope_lanes.ts";
import source from "./qkv_rope.wgsl" with { type: "text" };

const kernel = defineKernel(
  "qkv_rope",
  source,
  ["qkv", "cos_table", "sin_table", "scale_mul", "q", "k_cache", "v_cache"],
  ["count", "rows", "heads", "vectors", "rope_start", "cache_start", "cache_rows"],
);

/** All prelude lines. */
const prelude = memoised((together: boolean, q: string, cache: string): string =>
  [
    totalLines(together, "vec2<f32>"),
    narrowLines(q, 4, "narrow_q"),
    narrowLines(cache, 4, "narrow_cache"),
  ].join("\n")
);

/** Arguments of {@link qkvRope}, where C = heads · headDim. No two tensors may share a buffer. */
export interface QkvRopeArgs {
  /** [batch · rows, 3C] f32 or f16: q, then k, then v. */
  readonly qkv: Tensor;
  /** [batch · rows, C] f32 or f16. */
  readonly q: Tensor;
  /** [batch, cacheRows, C] f32 or f16. */
  readonly kCache: Tensor;
  /** [batch, cacheRows, C] of the dtype of kCache; null if v is read from qkv. */
  readonly vCache: Tensor | null;
  /** Tables [positions, headDim / 2] f32. */
  readonly rope: { readonly cos: Tensor; readonly sin: Tensor };
  /** [heads] f32, the checkpoint's logarithms; `null` if attention is not cosine attention. */
  readonly scaleMul: Tensor | null;
  /** Number of sequences. */
  readonly batch: number;
  /** Tokens of each sequence in this call. */
  readonly rows: number;
  /** Number of heads. */
  readonly heads: number;
  /** Channels per head: divisible by 4. */
  readonly headDim: number;
  /** Row of the tables for the first token. */
  readonly ropeStart: number;
  /** Row of the caches for the first token. */
  readonly cacheStart: number;
}

/**
 * Splits a joint projection: q = rope(normalize(q) · exp(min(scaleMul, ln 100))), while k = rope(normalize(k)) and v go
 * to their caches. This is what `SelfAttention.forward` of infinity/models/basic.py does between projection and
 * attention. Without `scaleMul` q and k are rotated, but not normalised.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree.
 */
export function qkvRope(device: Device, args: QkvRopeArgs): void {
  const { qkv, q, kCache, vCache, rope, scaleMul, batch, rows, heads, headDim } = args;
  const C = heads * headDim;
  const cacheRows = kCache.elements / (batch * C);
  const positions = Math.min(rope.cos.elements, rope.sin.elements) / (headDim / 2);
  const fits = headDim % 4 === 0 && qkv.elements === batch * rows * 3 * C &&
    q.elements === batch * rows * C && Number.isInteger(cacheRows) &&
    (!vCache || vCache.elements === kCache.elements && vCache.dtype === kCache.dtype) &&
    (!scaleMul || scaleMul.elements === heads);
  if (!fits) {
    throw new KernelError(
      "bad-shape",
      `Cannot split qkv [${qkv.shape}] into q [${q.shape}], k [${kCache.shape}], v [${vCache?.shape}] ` +
        `of ${batch} × ${rows} rows, ${heads} heads of ${headDim}`,
    );
  }
  if (args.cacheStart + rows > cacheRows || args.ropeStart + rows > positions) {
    throw new KernelError(
      "bad-shape",
      `Cannot put ${rows} rows at ${args.cacheStart} of a cache of ${cacheRows}, ` +
        `at ${args.ropeStart} of RoPE tables of ${positions}`,
    );
  }
  const count = batch * rows * heads;
  const { WG, LANES } = headLanes(device, headDim);
  device.run(kernel, {
    specialise: {
      QKV: `vec4<${qkv.dtype}>`,
      Q: `vec4<${q.dtype}>`,
      CACHE: `vec4<${kCache.dtype}>`,
      COSINE: scaleMul !== null,
      WG,
      LANES,
      KEEP_V: vCache !== null,
    },
    functions: prelude(LANES > 1, q.dtype, kCache.dtype),
    bind: {
      qkv,
      cos_table: rope.cos,
      sin_table: rope.sin,
      scale_mul: scaleMul,
      q,
      k_cache: kCache,
      v_cache: vCache,
    },
    params: {
      count,
      rows,
      heads,
      vectors: headDim / 4,
      rope_start: args.ropeStart,
      cache_start: args.cacheStart,
      cache_rows: cacheRows,
    },
    workgroups: grid(Math.ceil(count * LANES / WG)),
  });
}
