import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { qkvRope, type QkvRopeArgs } from "../../../kernels/attention/qkv_rope.ts";
import { assertNear, device, poisoned, TOLERANCE } from "../harness.ts";
import { build, type Case, reference } from "./qkv_rope_cases.ts";

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

Deno.test("qkvRope() gives short heads their whole length", async () => {
  const c = { batch: 1, rows: 3, heads: 2, cosine: true, dtype: "f32", size: 1e-8 } as const;
  for (const headDim of [4, 64]) {
    await check(6, { ...c, headDim, cacheRows: 3, cacheStart: 0, ropeStart: 0 });
  }
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
