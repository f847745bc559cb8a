import { assert, assertEquals } from "@std/assert";
import { build, F32x2, open, refuses } from "./safetensors_helpers.ts";

Deno.test("Safetensors.open() refuses a file too short for a header", async () => {
  await refuses(open(new Uint8Array(7)), "file-too-short", "it has 7 bytes");
  await refuses(open(new Uint8Array(0)), "not-safetensors", "it is empty; download it again");
});

Deno.test("Safetensors.open() refuses a header beyond the limit", async () => {
  const message = `Cannot read "model.safetensors": header is 9.1 GB, the limit is 100 MB`;
  await refuses(open(build("{}", 0, 9_100_000_000n)), "header-too-large", message);
  await refuses(open(build("{}", 0, 2n ** 64n - 1n)), "header-too-large", "header is 18 EB");
  await refuses(open(build("{}", 0, 100_000_001n)), "header-too-large", "header is 100 MB");
});

Deno.test("Safetensors.open() refuses a header beyond the end of the file", async () => {
  await refuses(open(build("{}", 0, 3n)), "header-truncated", "header ends at byte 11");
  await refuses(open(build("{}", 0, 100_000_000n)), "header-truncated", "the file has 10");
});

Deno.test("Safetensors.open() refuses a header that is not UTF-8", async () => {
  const bytes = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]);
  await refuses(open(build(bytes)), "header-not-utf8", "not valid UTF-8");
});

Deno.test("Safetensors.open() refuses a header that does not start with a brace", async () => {
  for (const text of ["", " {}", "[]", "\ufeff{}", "null"]) {
    await refuses(open(build(text)), "header-bad-start", `does not start with "{"`);
  }
});

Deno.test("Safetensors.open() refuses a header that is not JSON", async () => {
  for (const text of ["{", "{}{}", "{'a':1}", `{"a":1,}`, `{"a":NaN}`]) {
    await refuses(open(build(text)), "header-not-json", "not valid JSON");
  }
});

Deno.test("Safetensors.open() refuses duplicate keys at any depth", async () => {
  const entry = JSON.stringify(F32x2);
  const texts = {
    a: `{"a":${entry},"a":${entry}}`,
    b: `{"b":${entry}, "\\u0062" :${entry}}`,
    dtype: `{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`,
    k: `{"__metadata__":{"k":"1","k":"1"},"a":${entry}}`,
    __metadata__: `{"__metadata__":{},"a":${entry},"__metadata__":{}}`,
  };
  for (const [key, text] of Object.entries(texts)) {
    await refuses(open(build(text, 8)), "duplicate-key", `has the key "${key}" twice`);
  }
});

Deno.test("Safetensors.open() tells keys from values and from keys of other objects", async () => {
  const metadata: Record<string, string> = { a: "a", dtype: 'a":"', "\\": '\\"', q: "{", '"': "}" };
  const file = await open(build({ __metadata__: metadata, a: F32x2 }, 8));
  assertEquals({ ...file.metadata }, metadata);
});

Deno.test("Safetensors.open() refuses metadata that are not strings", async () => {
  for (const value of [null, [], "x", 1]) {
    await refuses(open(build({ __metadata__: value })), "bad-metadata", "must be an object");
  }
  const nested = { __metadata__: { n: 1 } };
  await refuses(open(build(nested)), "bad-metadata", `__metadata__ "n" must be a string`);
});

Deno.test("Safetensors.open() refuses an entry that is not an object", async () => {
  for (const value of [null, [], "x", 1]) {
    await refuses(open(build({ a: value })), "bad-entry", `tensor "a" must be an object`);
  }
});

Deno.test("Safetensors.open() refuses an unknown dtype", async () => {
  for (const dtype of ["F128", "f32", "constructor", "", 1, null, undefined, ["F32"]]) {
    const file = open(build({ a: { ...F32x2, dtype } }, 8));
    await refuses(file, "unknown-dtype", `tensor "a" has dtype`);
  }
});

Deno.test("Safetensors.open() refuses a bad shape", async () => {
  const shapes = [undefined, null, 2, "2", { 0: 2 }, [1.5], [-1, -2], ["2"], [null], [[2]]];
  for (
    const shape of [...shapes, new Array(65).fill(1), [2 ** 53], [2 ** 40, 2 ** 40], [2 ** 52], [
      2 ** 40,
      2 ** 40,
      0,
    ]]
  ) {
    await refuses(open(build({ a: { ...F32x2, shape } }, 8)), "bad-shape", `tensor "a" must have`);
  }
});

Deno.test("Safetensors.open() refuses bad offsets", async () => {
  const offsets = [undefined, null, 8, [], [0], [0, 8, 8], [0, 8.5], [-8, 0], ["0", "8"], [8, 0]];
  for (const data_offsets of [...offsets, [0, 2 ** 53]]) {
    await refuses(open(build({ a: { ...F32x2, data_offsets } }, 8)), "bad-offsets", `tensor "a"`);
  }
});

Deno.test("Safetensors.open() refuses offsets beyond the end of the file", async () => {
  const message = "ends at byte 8 of the data, but the file holds 7";
  await refuses(open(build({ a: F32x2 }, 7)), "offsets-out-of-range", message);
});

Deno.test("Safetensors.open() refuses a tensor whose shape and bytes differ", async () => {
  const message = `tensor "a" has 8 bytes, but F32 [3] takes 12`;
  await refuses(open(build({ a: { ...F32x2, shape: [3] } }, 8)), "size-mismatch", message);
  await refuses(open(build({ a: { ...F32x2, dtype: "F64" } }, 8)), "size-mismatch", "takes 16");
  await refuses(open(build({ a: { ...F32x2, shape: [0] } }, 8)), "size-mismatch", "takes 0");
});

Deno.test("Safetensors.open() refuses overlapping tensors", async () => {
  const overlap = { a: F32x2, b: { ...F32x2, data_offsets: [4, 12] } };
  await refuses(open(build(overlap, 12)), "overlap", `tensor "b" overlaps`);
  await refuses(open(build({ a: F32x2, b: F32x2 }, 8)), "overlap", `tensor "b" overlaps`);
});

Deno.test("Safetensors.open() refuses a hole between tensors", async () => {
  const hole = { a: F32x2, b: { ...F32x2, data_offsets: [12, 20] } };
  await refuses(open(build(hole, 20)), "hole", `no tensor owns the 4 bytes before "b"`);
  const start = { a: { ...F32x2, data_offsets: [1, 9] } };
  await refuses(open(build(start, 9)), "hole", "the 1 bytes");
});

Deno.test("Safetensors.open() refuses bytes after the last tensor", async () => {
  await refuses(open(build({ a: F32x2 }, 9)), "trailing-bytes", "the last 1 B of the file");
  await refuses(open(build("{}", 5)), "trailing-bytes", "the last 5 B of the file");
});

Deno.test("Safetensors.open() keeps its messages to one short line", async () => {
  const name = "line\nbreak".repeat(1000);
  await refuses(open(build({ [name]: null })), "bad-entry", "line\\nbreak");
  const error = await open(build({ [name]: null })).catch((error) => error);
  assert(error.message.length < 300);
});

Deno.test("Safetensors.open() refuses deep nesting without running out of stack", async () => {
  const deep = "[".repeat(1e6) + "]".repeat(1e6);
  await refuses(open(build(`{"a":${deep}}`)), "bad-entry", "must be an object");
  await refuses(
    open(build(`{"a":{"dtype":${deep}}}`)),
    "unknown-dtype",
    "has dtype of another kind",
  );
  const shape = `{"a":{"dtype":"F32","shape":${deep}}}`;
  await refuses(open(build(shape)), "bad-shape", "shape of at most 64 whole numbers");
});
