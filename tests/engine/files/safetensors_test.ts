import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { InputError, OutOfMemoryError, SafetensorsError } from "../../../engine/base/errors.ts";
import type { ByteSource } from "../../../engine/files/byte_source.ts";
import { Safetensors } from "../../../engine/files/safetensors.ts";
import { encodeSafetensors } from "../../../engine/files/safetensors_writer.ts";
import { build, F32x2, open, refuses, Spy } from "./safetensors_helpers.ts";

Deno.test("Safetensors.open() reads only the header", async () => {
  const header = {
    __metadata__: { format: "pt" },
    b: { ...F32x2, data_offsets: [8, 16] },
    a: F32x2,
  };
  const bytes = build(header, 16);
  const source = new Spy(bytes);
  const file = await Safetensors.open(source);
  assertEquals(source.bytesRead, bytes.length - 16);
  assertEquals({ ...file.metadata }, { format: "pt" });
  assertEquals([...file.tensors.keys()], ["a", "b"]);
  const b = file.get("b");
  assertEquals({ ...b, source: undefined }, {
    name: "b",
    dtype: "F32",
    shape: [2],
    offset: bytes.length - 8,
    byteLength: 8,
    elements: 2,
    source: undefined,
  });
  assert(b.source === source);
});

Deno.test("Safetensors.open() reads a file without tensors, a scalar and an empty tensor", async () => {
  assertEquals((await open(build("{}"))).tensors.size, 0);
  const file = await open(build(
    {
      empty: { dtype: "F16", shape: [3, 0], data_offsets: [0, 0] },
      scalar: { dtype: "U8", shape: [], data_offsets: [0, 1] },
    },
    1,
  ));
  assertEquals(file.get("empty").elements, 0);
  assertEquals(file.get("scalar").elements, 1);
  assertEquals(await file.read("empty"), new Float16Array());
  assertEquals((await Array.fromAsync(file.chunks("empty"))).length, 0);
});

Deno.test("Safetensors.open() reads views of a larger array", async () => {
  const bytes = build({ a: F32x2 }, 8);
  const arena = new Uint8Array(bytes.length + 3);
  const read = (offset: number, length: number) => {
    arena.set(bytes.subarray(offset, offset + length), 3);
    return Promise.resolve(arena.subarray(3, 3 + length));
  };
  const file = await Safetensors.open({ name: "arena", size: bytes.length, read });
  assertEquals([...file.tensors.keys()], ["a"]);
});

Deno.test("Safetensors.open() keeps names that JavaScript objects treat specially", async () => {
  const text = `{"__proto__":${JSON.stringify(F32x2)},"__metadata__":{"__proto__":"x","1":"y"}}  `;
  const file = await open(build(text, 8));
  assertEquals([...file.tensors.keys()], ["__proto__"]);
  assertEquals(Object.entries(file.metadata).sort(), [["1", "y"], ["__proto__", "x"]]);
  assertEquals(file.metadata.constructor, undefined);
});

Deno.test("Safetensors.open() closes a source that it refuses, and no other", async () => {
  const refused = new Spy(new Uint8Array(3));
  await assertRejects(() => Safetensors.open(refused), SafetensorsError);
  assertEquals(refused.closed, 1);
  const source = new Spy(build("{}"));
  const file = await Safetensors.open(source);
  assertEquals(source.closed, 0);
  file.close();
  assertEquals(source.closed, 1);
});

Deno.test("Safetensors.open() throws nothing but SafetensorsError on broken files", async () => {
  let state = 1;
  const random = (below: number) => (state = (state * 48271) % 0x7fffffff) % below;
  const valid = encodeSafetensors([
    { name: "w", dtype: "F32", shape: [2, 3], data: new Float32Array(6) },
    { name: "é", dtype: "BF16", shape: [], data: new Uint16Array(1) },
    { name: "m", dtype: "BOOL", shape: [3], data: new Uint8Array(3) },
  ], { format: "pt" });
  const headerEnd = 8 + new DataView(valid.buffer).getUint32(0, true);

  for (let round = 0; round < 4000; round++) {
    const cut = round % 2 ? valid.length : random(valid.length);
    const bytes = valid.slice(0, cut);
    for (let flips = random(4); flips > 0 && cut > 0; flips--) {
      bytes[random(Math.min(cut, headerEnd))] ^= 1 << random(8);
    }
    const source = new Spy(bytes);
    try {
      const file = await Safetensors.open(source);
      for (const name of file.tensors.keys()) await file.read(name);
    } catch (error) {
      if (!(error instanceof SafetensorsError)) throw error;
      assertEquals(source.closed, 1);
    }
    // a refused file's beginning is looked at once more, to say what it is instead
    assert(source.bytesRead <= bytes.length + 1024, "read a byte twice");
  }
});

Deno.test("Safetensors.get() names the file and the missing tensor", async () => {
  const file = await open(build({ a: F32x2 }, 8));
  const message = `Cannot read "model.safetensors": it has no tensor "toString"`;
  const error = assertThrows(() => file.get("toString"), SafetensorsError, message);
  assertEquals(error.code, "tensor-missing");
  await assertRejects(() => file.read("b"), SafetensorsError, `no tensor "b"`);
  await assertRejects(() => file.chunks("b").next(), SafetensorsError, `no tensor "b"`);
});

Deno.test("Safetensors.read() returns the typed array of each dtype", async () => {
  const file = await open(encodeSafetensors([
    { name: "i64", dtype: "I64", shape: [1], data: new BigInt64Array([-5n]) },
    { name: "f16", dtype: "F16", shape: [2], data: new Float16Array([1, -2]) },
    { name: "bf16", dtype: "BF16", shape: [1], data: new Uint16Array([0x3f80]) },
    { name: "i8", dtype: "I8", shape: [1, 2], data: new Int8Array([-1, 2]) },
    { name: "bool", dtype: "BOOL", shape: [2], data: new Uint8Array([0, 1]) },
  ]));
  assertEquals(await file.read("i64"), new BigInt64Array([-5n]));
  assertEquals(await file.read("f16"), new Float16Array([1, -2]));
  assertEquals(await file.read("bf16"), new Uint16Array([0x3f80]));
  assertEquals(await file.read("i8"), new Int8Array([-1, 2]));
  assertEquals(await file.readFloat32("bf16"), new Float32Array([1]));
  assertEquals(await file.readFloat32("bool"), new Float32Array([0, 1]));
});

Deno.test("Safetensors.read() refuses a tensor too large for one array", async () => {
  const n = 2 ** 32;
  const bytes = build({ a: { dtype: "U8", shape: [n], data_offsets: [0, n] } });
  const file = await Safetensors.open(new Spy(bytes, bytes.length + n));
  const error = await assertRejects(() => file.read("a"), OutOfMemoryError, "read it in chunks");
  assertEquals(error.code, "tensor-too-large");
});

Deno.test("Safetensors.read() refuses a file that shrank", async () => {
  const bytes = build({ a: F32x2 }, 8);
  const file = await Safetensors.open(new Spy(bytes.subarray(0, -3), bytes.length, "shrunk"));
  await refuses(file.read("a"), "read-short", `Cannot read "shrunk": it returned 5 of 8 bytes`);
});

Deno.test("Safetensors.chunks() streams a tensor in bounded pieces", async () => {
  const data = Uint8Array.from({ length: 100 }, (_, i) => i);
  const source = new Spy(encodeSafetensors([
    { name: "first", dtype: "F64", shape: [1], data: new Float64Array(1) },
    { name: "a", dtype: "U8", shape: [100], data },
  ]));
  const file = await Safetensors.open(source);
  source.longest = 0;
  const chunks = await Array.fromAsync(file.chunks("a", 39));
  assertEquals(chunks.map(({ offset, bytes }) => [offset, bytes.length]), [
    [0, 32],
    [32, 32],
    [64, 32],
    [96, 4],
  ]);
  assertEquals(chunks.flatMap(({ bytes }) => [...bytes]), [...data]);
  assertEquals(source.longest, 32);
  assertEquals((await Array.fromAsync(file.chunks("a"))).length, 1);
  for (const size of [7, 0, -8, NaN]) {
    const error = await assertRejects(() => file.chunks("a", size).next(), InputError);
    assertEquals(error.code, "chunk-size");
  }
});

Deno.test("Safetensors.chunks() reads one piece ahead, into two buffers in turn", async () => {
  const data = Uint8Array.from({ length: 100 }, (_, i) => i);
  const stored = encodeSafetensors([{ name: "a", dtype: "U8", shape: [100], data }]);
  const reads: number[] = [];
  let running = 0;
  const source: ByteSource = {
    name: "slow",
    size: stored.length,
    async read(offset, length, into = new Uint8Array(length)) {
      reads.push(length);
      running++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      into.set(stored.subarray(offset, offset + length));
      running--;
      return into.subarray(0, length);
    },
  };
  const file = await Safetensors.open(source);
  reads.length = 0;
  const scratch = [new Uint8Array(40), new Uint8Array(40)];
  const seen: number[] = [];
  let turn = 0;
  for await (const { bytes } of file.chunks("a", 40, scratch)) {
    seen.push(...bytes);
    assertEquals(bytes.buffer, scratch[turn % 2]!.buffer);
    assertEquals(reads.length, Math.min(3, ++turn + 1));
  }
  assertEquals(seen, [...data]);
  for await (const _ of file.chunks("a", 40, scratch)) break;
  assertEquals(running, 0, "nothing writes to the buffers after the loop");
});
