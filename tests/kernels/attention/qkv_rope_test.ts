import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError, type TensorDType } from "../../../engine/mod.ts";
import { qkvRope, type QkvRopeArgs } from "../../../kernels/attention/qkv_rope.ts";
import { assertNear, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";

interface Case {
  batch: number;
  rows: number;
  heads: number;
  headDim: number;
  cosine: boolean;
  dtype: "f32" | "f16";
  cacheDtype?: TensorDType;
  cacheRows: number;
  cacheStart: number;
  ropeStart: number;
}

function build(seed: number, c: Case) {
  const { batch, rows, heads, headDim, dtype } = c;
  const next = random(seed), C = heads * headDim, half = headDim / 2;
  const positions = c.ropeStart + rows;
  const qkv = values(next, batch * rows * 3 * C, dtype);
  const angles = values(next, positions * half).map((x) => 4 * x);
  const cos = angles.map((x) => Math.fround(Math.cos(x)));
  const sin = angles.map((x) => Math.fround(Math.sin(x)));
  const scaleMul = Float64Array.from({ length: heads }, (_, h) => Math.fround(h === 0 ? 5 : h / 2));
  const args: QkvRopeArgs = {
    qkv: upload(dtype, [batch * rows, 3 * C], qkv),
    q: poisoned(dtype, [batch * rows, C]),
    kCache: poisoned(c.cacheDtype ?? dtype, [batch, c.cacheRows, C]),
    vCache: poisoned(c.cacheDtype ?? dtype, [batch, c.cacheRows, C]),
    rope: {
      cos: upload("f32", [positions, half], cos),
      sin: upload("f32", [positions, half], sin),
    },
    scaleMul: c.cosine ? upload("f32", [1, 1, heads, 1], scaleMul) : null,
    ...c,
  };
  return { args, qkv, cos, sin, scaleMul };
}

/** Computes in float64: q, and the new rows of the caches of k and v. */
function reference(c: Case, { qkv, cos, sin, scaleMul }: ReturnType<typeof build>) {
  const { batch, rows, heads, headDim } = c, C = heads * headDim, half = headDim / 2;
  const [q, k, v] = [0, 1, 2].map((part) => {
    const out = new Float64Array(batch * rows * C);
    for (let row = 0; row < batch * rows; row++) {
      for (let h = 0; h < heads; h++) {
        const base = row * 3 * C + part * C + h * headDim;
        const x = qkv.slice(base, base + headDim);
        if (part < 2) {
          const norm = Math.max(Math.hypot(...x), 1e-12);
          const scale = part === 0 ? Math.exp(Math.min(scaleMul[h]!, Math.log(100))) : 1;
          if (c.cosine) x.forEach((value, d) => x[d] = value / norm * scale);
          for (let i = 0; i < half; i++) {
            const angle = (c.ropeStart + row % rows) * half + i;
            const [a, b] = [x[2 * i]!, x[2 * i + 1]!];
            x[2 * i] = cos[angle]! * a - sin[angle]! * b;
            x[2 * i + 1] = sin[angle]! * a + cos[angle]! * b;
          }
        }
        out.set(x, row * C + h * headDim);
      }
    }
    return out;
  });
  return { q: q!, k: k!, v: v! };
}

/** Checks one call, and that it does not touch other rows of the caches. */
async function check(seed: number, c: Case): Promise<void> {
  const built = build(seed, c);
  const expected = reference(c, built);
  qkvRope(device, built.args);
  const { q, kCache, vCache } = built.args;
  const read = await device.readAll([q, kCache, vCache]) as Float32Array[];
  const name = JSON.stringify(c), C = c.heads * c.headDim;
  assertNear(read[0]!, expected.q, TOLERANCE[c.dtype], `q ${name}`);
  for (const [cache, rows] of [[read[1]!, expected.k], [read[2]!, expected.v]] as const) {
    for (let b = 0; b < c.batch; b++) {
      const [first, last] = [(b * c.cacheRows + c.cacheStart) * C, (b + 1) * c.cacheRows * C];
      const end = first + c.rows * C;
      assertNear(
        cache.slice(first, end),
        rows.subarray(b * c.rows * C, (b + 1) * c.rows * C),
        TOLERANCE[(c.cacheDtype ?? c.dtype) as "f32" | "f16"],
        name,
      );
      assert(cache.slice(b * c.cacheRows * C, first).every(Number.isNaN), `before ${name}`);
      assert(cache.slice(end, last).every(Number.isNaN), `after ${name}`);
    }
  }
}

const { capabilities } = device;

for (const adapter of ["cpu", "gpu"] as const) {
  for (
    const [cosine, dtype] of [[true, "f32"], [true, "f16"], [false, "f32"], [false, "f16"]] as const
  ) {
    const name =
      `qkvRope() splits, rotates and caches in ${dtype}, cosine ${cosine}, as on a ${adapter}`;
    Deno.test(name, async () => {
      using stack = new DisposableStack();
      stack.adopt(capabilities.class, (before) => Object.assign(capabilities, { class: before }));
      Object.assign(capabilities, { class: adapter });
      const sizes = [
        [1, 1, 1, 4, 1, 0, 0],
        [2, 5, 3, 36, 9, 2, 3],
        [1, 16, 4, 64, 30, 14, 14],
        [3, 7, 2, 256, 7, 0, 1],
      ] as const;
      for (const [batch, rows, heads, headDim, cacheRows, cacheStart, ropeStart] of sizes) {
        const c = { batch, rows, heads, headDim, cosine, dtype, cacheRows, cacheStart, ropeStart };
        await check(headDim, c);
      }
    });
  }
}

Deno.test("qkvRope() keeps an f16 cache of f32 tokens", async () => {
  await check(5, {
    batch: 2,
    rows: 3,
    heads: 2,
    headDim: 104,
    cosine: true,
    dtype: "f32",
    cacheDtype: "f16",
    cacheRows: 5,
    cacheStart: 2,
    ropeStart: 7,
  });
});

Deno.test("qkvRope() gives zeros for a head of zeros", async () => {
  const c: Case = {
    batch: 1,
    rows: 2,
    heads: 2,
    headDim: 8,
    cosine: true,
    dtype: "f32",
    cacheRows: 2,
    cacheStart: 0,
    ropeStart: 0,
  };
  const { args } = build(3, c);
  device.upload(args.qkv, new Float32Array(2 * 3 * 16));
  qkvRope(device, args);
  for (const data of await device.readAll([args.q, args.kCache, args.vCache])) {
    assertEquals(data, new Float32Array(32));
  }
});

Deno.test("qkvRope() refuses shapes that disagree and rows that do not fit", () => {
  const c: Case = {
    batch: 2,
    rows: 3,
    heads: 2,
    headDim: 8,
    cosine: true,
    dtype: "f32",
    cacheRows: 4,
    cacheStart: 1,
    ropeStart: 0,
  };
  const { args } = build(4, c);
  const refused = (wrong: Partial<QkvRopeArgs>, message: string) =>
    assertThrows(() => qkvRope(device, { ...args, ...wrong }), KernelError, message);
  refused({ rows: 2 }, "Cannot split qkv [6,48]");
  refused({ heads: 4 }, "Cannot split");
  refused({ vCache: poisoned("f32", [2, 3, 16]) }, "Cannot split");
  refused({ cacheStart: 2 }, "Cannot put 3 rows at 2 of a cache of 4");
  refused({ ropeStart: 1 }, "at 1 of RoPE tables of 3");
});
