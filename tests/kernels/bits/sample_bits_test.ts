import { assert, assertEquals, assertThrows } from "@std/assert";
import { defineKernel, KernelError, type Tensor } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { sampleBits, type SampleBitsArgs } from "../../../kernels/bits/sample_bits.ts";
import { assertTensor, device, poisoned, random, TOLERANCE, upload, values } from "../harness.ts";
import * as reference from "./references.ts";
import philoxText from "../../../kernels/shared/philox.wgsl" with { type: "text" };

/** Reads counter[4] and key[2]; writes the four words. */
const philoxKernel = defineKernel(
  "philox_test",
  `struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = 6 * id.x;
  if (id.x >= params.count) { return; }
  y[id.x] = philox(vec4(x[i], x[i + 1], x[i + 2], x[i + 3]), vec2(x[i + 4], x[i + 5]));
}`,
  ["x", "y"],
  ["count"],
);

const ONES = 0xffffffff;
/** The published vectors of Random123 (kat_vectors): counter, key, result. */
const KNOWN = [
  [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
  [[ONES, ONES, ONES, ONES], [ONES, ONES], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
  [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], [
    0xd16cfe09,
    0x94fdcceb,
    0x5001e420,
    0x24126ea1,
  ]],
] as const;

Deno.test("philox() gives the published words, and the same as 64-bit arithmetic", async () => {
  const next = random(21);
  const inputs: number[][] = KNOWN.map(([counter, key]) => [...counter, ...key]);
  while (inputs.length < 70) {
    inputs.push(Array.from({ length: 6 }, () => Math.floor(next() * 2 ** 32)));
  }
  const y = poisoned("u32", [inputs.length, 4]);
  device.run(philoxKernel, {
    functions: philoxText,
    bind: { x: upload("u32", [inputs.length, 6], inputs.flat()), y },
    params: { count: inputs.length },
    workgroups: [Math.ceil(inputs.length / 64)],
  });
  const words = Array.from(await device.read(y));
  assertEquals(words.slice(0, 12), KNOWN.flatMap(([, , result]) => [...result]));
  assertEquals(words, inputs.flatMap((x) => reference.philox(x.slice(0, 4), x.slice(4))));
});

type Options = Partial<Omit<SampleBitsArgs, "delta" | "bits" | "batch">>;

/** Samples bits [B, L, d]; everything is off unless `options` turn it on. */
async function sample(shape: number[], delta: Tensor, options: Options): Promise<Uint32Array> {
  const bits = poisoned("u32", shape);
  const off = {
    guided: false,
    cfg: 1,
    tau: 1,
    topK: 0,
    topP: 0,
    mode: "random",
    scale: 0,
    nonFinite: upload("u32", [1], [0]),
  } as const;
  sampleBits(device, { ...off, delta, bits, batch: shape[0]!, ...options });
  return (await device.read(bits)) as Uint32Array;
}

/** Uploads 64-bit seeds as [B, 2] words. */
function seeds(...list: bigint[]): Tensor {
  const words = list.flatMap((seed) => [Number(seed & 0xffffffffn), Number(seed >> 32n)]);
  return upload("u32", [list.length, 2], words);
}

Deno.test("sampleBits() mixes, divides, cuts and samples like the reference", async () => {
  const next = random(22);
  const list = [5n, 0xfedcba9876543210n, 7n << 32n];
  for (
    const [B, L, d, guided, dtype, scale, topK, topP] of [
      [1, 1, 1, false, "f32", 0, 0, 0],
      [2, 7, 16, true, "f32", 3, 900, 0.97],
      [3, 5, 14, true, "f16", 12, 2, 0.7],
      [3, 33, 5, false, "f16", 1, 0, 0.3],
      [2, 9, 8, true, "f32", 2, 1, 0],
    ] as const
  ) {
    const count = B * L * d;
    const cfg = 3.7, tau = 0.6;
    const x = values(next, (guided ? 2 : 1) * count, dtype);
    const delta = upload(dtype, [(guided ? 2 : 1) * B, L, d], x);
    const deltaOut = poisoned("f32", [B, L, d]);
    const key = seeds(...list.slice(0, B));
    const options = { guided, cfg, tau, topK, topP, scale, seeds: key, deltaOut };
    const bits = await sample([B, L, d], delta, options);
    const z = reference.guided(x, { mixed: guided, cfg, tau });
    await assertTensor(deltaOut, z, TOLERANCE.f32, `[${B},${L},${d}]`);
    z.forEach((value, i) => {
      const b = Math.floor(i / L / d), l = Math.floor(i / d) % L;
      const u = reference.uniformOf(list[b]!, scale, l, i % d);
      const p = reference.probability(value, topK, topP);
      const free = 1 / (1 + Math.exp(-value)), minority = Math.min(free, 1 - free);
      assert(Math.abs(minority - (1 - topP)) > 1e-6 || topP === 0, "a test value at the cut");
      assert(Math.abs(u - p) > 1e-7, "a test value at the threshold");
      assertEquals(bits[i], u < p ? 1 : 0, `bit ${i} of [${B},${L},${d}]`);
    });
  }
});

Deno.test("golden: sampleBits() applies temperature, top-k and top-p to probabilities", async () => {
  const { config, tensor } = await golden("sampling");
  const { shape: [L, d], data: logits } = tensor("logits");
  const shape = [1, L!, d!];
  const x = Float32Array.from({ length: L! * d! }, (_, i) => logits[2 * i + 1]! - logits[2 * i]!);
  const delta = upload("f32", shape, x);
  for (
    const [name, { tau, top_k, top_p }] of Object.entries<Record<string, number>>(config.cases)
  ) {
    const p = tensor(name).data;
    // a number just below the probability gives 1, just above it 0; no number reaches 1
    const below = p.map((v) => Math.min(v * (1 - 2e-6), 1 - 1e-6));
    const above = p.map((v) => v * (1 + 2e-6));
    for (const [u, bit] of [[below, 1], [above, 0]] as const) {
      const uniforms = upload("f32", shape, u);
      const options = { tau, topK: top_k, topP: top_p, mode: "uniforms", uniforms } as const;
      const bits = await sample(shape, delta, options);
      bits.forEach((got, i) => {
        const expected = p[i] === 0 ? 0 : u[i]! >= 1 ? got : bit;
        assertEquals(got, expected, `${name}, bit ${i}: p ${p[i]}, u ${u[i]}, delta ${x[i]}`);
      });
    }
  }
});

Deno.test("golden: sampleBits() samples the bits of the official loop", async () => {
  for (const name of ["transformer_tiny.golden", "transformer_patchify.golden"]) {
    const { config, has, tensor } = await golden(name);
    for (
      const [run, { sampler, gt_leak }] of Object.entries<Record<string, unknown>>(config.runs)
    ) {
      for (let s = Number(gt_leak); has(`${run}.step${s}.logits`); s++) {
        const { shape, data } = tensor(`${run}.step${s}.logits`);
        const x = Float32Array.from(
          { length: data.length / 2 },
          (_, i) => data[2 * i + 1]! - data[2 * i]!,
        );
        const uniform = sampler === "u" ? tensor(`${run}.step${s}.u`).data : undefined;
        const options: Options = uniform
          ? { mode: "uniforms", uniforms: upload("f32", [...shape.slice(0, 3)], uniform) }
          : { mode: "greedy" };
        const bits = await sample([...shape.slice(0, 3)], upload("f32", [x.length], x), options);
        const expected = tensor<Uint8Array<ArrayBuffer>>(`${run}.step${s}.bits`).data;
        assertEquals([...bits], [...expected], `${run} step ${s}`);
      }
    }
  }
});

Deno.test("sampleBits() samples 1 as often as its probability says, and bits are independent", async () => {
  const shape = [1, 4096, 8];
  const count = 4096 * 8;
  const sampleAt = (z: number, seed: bigint, scale = 0) =>
    sample(shape, upload("f32", shape, new Float32Array(count).fill(z)), {
      seeds: seeds(seed),
      scale,
    });
  const share = (bits: Uint32Array) => bits.reduce((sum, bit) => sum + bit, 0) / count;
  const same = (a: Uint32Array, b: Uint32Array) => share(a.map((bit, i) => Number(bit === b[i])));
  for (const p of [0.02, 0.3, 0.5, 0.9]) {
    const sigma = Math.sqrt(p * (1 - p) / count);
    assert(Math.abs(share(await sampleAt(Math.log(p / (1 - p)), 42n)) - p) < 4 * sigma, `p ${p}`);
  }
  const near = 4 * 0.5 / Math.sqrt(count);
  const first = await sampleAt(0, 1n);
  for (
    const other of [
      await sampleAt(0, 0n),
      await sampleAt(0, 2n),
      await sampleAt(0, 1n << 32n),
      await sampleAt(0, 1n, 1),
    ]
  ) {
    assert(Math.abs(same(first, other) - 0.5) < near, "another seed or scale gives unrelated bits");
  }
  for (const shift of [1, 8]) { // the next bit, the next token
    assert(Math.abs(same(first, first.map((_, i) => first[(i + shift) % count]!)) - 0.5) < near);
  }
});

Deno.test("sampleBits() samples the same bits for an image alone and in a batch", async () => {
  const next = random(23);
  const [B, L, d] = [3, 11, 6];
  const list = [8n, 9n, 1n << 63n];
  const x = values(next, 2 * B * L * d);
  const half = B * L * d, one = L * d;
  const options = { guided: true, cfg: 2, tau: 0.9, topP: 0.97, scale: 4 };
  const all = await sample([B, L, d], upload("f32", [2 * B, L, d], x), {
    ...options,
    seeds: seeds(...list),
  });
  for (let b = 0; b < B; b++) {
    const mine = [
      ...x.slice(b * one, (b + 1) * one),
      ...x.slice(half + b * one, half + (b + 1) * one),
    ];
    const delta = upload("f32", [2, L, d], mine);
    const alone = await sample([1, L, d], delta, { ...options, seeds: seeds(list[b]!) });
    assertEquals([...alone], [...all.slice(b * one, (b + 1) * one)]);
  }
});

Deno.test("sampleBits() decides ties and saturated bits", async () => {
  const delta = upload("f32", [1, 1, 5], [0, 1e-6, -1e-6, 1e4, -1e4]);
  const uniforms = (u: number) => upload("f32", [1, 1, 5], new Float32Array(5).fill(u));
  const bits = async (options: Options) => [...await sample([1, 1, 5], delta, options)];
  const high = { mode: "uniforms", uniforms: uniforms(0.999) } as const;
  const low = { mode: "uniforms", uniforms: uniforms(0.001) } as const;
  assertEquals(await bits({ mode: "greedy" }), [0, 1, 0, 1, 0]);
  assertEquals(await bits(high), [0, 0, 0, 1, 0]);
  assertEquals(await bits(low), [1, 1, 1, 1, 0]);
  assertEquals(await bits({ ...high, topK: 1 }), [0, 1, 0, 1, 0]);
  assertEquals(await bits({ ...low, topK: 1 }), [1, 1, 0, 1, 0]);
  assertEquals(await bits({ ...high, topP: 0.5 }), [1, 1, 0, 1, 0]);
  assertEquals(await bits({ ...high, topP: 1 }), [0, 0, 0, 1, 0]);
});

Deno.test("sampleBits() marks NaN and infinities of either half, and nothing else", async () => {
  const marked = async (at: number, value: number, guided: boolean) => {
    const halves = guided ? 2 : 1;
    const delta = Float64Array.from({ length: halves * 70 }, (_, i) => i === at ? value : i - 35);
    const nonFinite = upload("u32", [1], [0]);
    const options = { mode: "greedy", guided, cfg: 3, nonFinite } as const;
    await sample([1, 10, 7], upload("f32", [halves, 10, 7], delta), options);
    return (await device.read(nonFinite))[0];
  };
  for (const guided of [false, true]) {
    assertEquals(await marked(0, 3e38, guided), 0);
    for (const at of guided ? [0, 69, 70, 139] : [0, 69]) {
      for (const value of [NaN, Infinity, -Infinity]) {
        assertEquals(await marked(at, value, guided), 1, `${value} at ${at}`);
      }
    }
  }
});

Deno.test("sampleBits() refuses shapes and modes that do not fit", async () => {
  const delta = poisoned("f32", [2, 3, 4]);
  await sample([2, 3, 4], delta, { mode: "greedy" });
  const refused: [Options, string][] = [
    [{ guided: true }, "Cannot sample bits [2,3,4] of 2 guided images from [2,3,4]"],
    [{}, "Cannot sample bits [2,3,4]: random takes 4 numbers, not none"],
    [{ mode: "uniforms", uniforms: poisoned("f32", [2, 3]) }, "uniforms takes 24 numbers, not 6"],
  ];
  const off = {
    guided: false,
    cfg: 1,
    tau: 1,
    topK: 0,
    topP: 0,
    mode: "random",
    scale: 0,
    nonFinite: upload("u32", [1], [0]),
  } as const;
  for (const [options, message] of refused) {
    const args = { ...off, delta, bits: poisoned("u32", [2, 3, 4]), batch: 2, ...options };
    assertThrows(() => sampleBits(device, args), KernelError, message);
  }
});
