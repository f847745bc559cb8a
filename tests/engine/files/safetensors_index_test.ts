import { assertEquals } from "@std/assert";
import type { ByteSource } from "../../../engine/files/byte_source.ts";
import { FileError } from "../../../engine/base/errors.ts";
import { Safetensors } from "../../../engine/files/safetensors.ts";
import { build, F32x2, refuses, Spy } from "./safetensors_helpers.ts";

/** Two shards and what opens them. */
function shards(files: Record<string, Uint8Array> = {}) {
  const all: Record<string, Uint8Array> = {
    "1.safetensors": build({ a: F32x2, unlisted: { ...F32x2, data_offsets: [8, 16] } }, 16),
    "sub/2.safetensors": build({ b: F32x2 }, 8),
    ...files,
  };
  const opened: Spy[] = [];
  const openShard = (name: string): Promise<ByteSource> => {
    if (!all[name]) return Promise.reject(new FileError("file-not-found", name));
    opened.push(new Spy(all[name], undefined, name));
    return Promise.resolve(opened[opened.length - 1]);
  };
  return { opened, openShard };
}

function index(weightMap: unknown, metadata: unknown = { total_size: 24, format: "pt" }) {
  const text = JSON.stringify({ metadata, weight_map: weightMap });
  return new Spy(new TextEncoder().encode(text), undefined, "i.json");
}

Deno.test("Safetensors.openSharded() joins the shards, each opened once", async () => {
  const { opened, openShard } = shards();
  const source = index({ b: "sub/2.safetensors", a: "1.safetensors" });
  const file = await Safetensors.openSharded(source, openShard);
  assertEquals(source.closed, 1);
  assertEquals(file.name, "i.json");
  assertEquals([...file.tensors.keys()].sort(), ["a", "b"]);
  assertEquals({ ...file.metadata }, { format: "pt" });
  assertEquals(file.get("b").source.name, "sub/2.safetensors");
  assertEquals(
    new Uint8Array((await file.read("b")).buffer),
    new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]),
  );
  file.close();
  assertEquals(opened.map(({ closed }) => closed), [1, 1]);
});

Deno.test("Safetensors.openSharded() refuses names that leave the folder", async () => {
  const names = [
    "",
    "/etc/passwd",
    "../a",
    "a/../b",
    "a\\b",
    "..",
    ".",
    "a//b",
    "C:a",
    "a\0b",
    "a/",
  ];
  for (const name of names) {
    const file = Safetensors.openSharded(index({ a: name }), () => {
      throw new Error("opened");
    });
    await refuses(file, "unsafe-shard-name", "is not a file of its folder");
  }
});

Deno.test("Safetensors.openSharded() refuses a missing shard, and closes the others", async () => {
  const { opened, openShard } = shards();
  const file = Safetensors.openSharded(
    index({ a: "1.safetensors", b: "3.safetensors" }),
    openShard,
  );
  await refuses(file, "shard-missing", `Cannot read "i.json": shard "3.safetensors" is missing`);
  assertEquals(opened.map(({ closed }) => closed), [1]);
});

Deno.test("Safetensors.openSharded() refuses a tensor that its shard lacks", async () => {
  const { opened, openShard } = shards();
  const file = Safetensors.openSharded(index({ b: "1.safetensors" }), openShard);
  await refuses(file, "tensor-absent", `tensor "b" is listed but absent from "1.safetensors"`);
  assertEquals(opened.map(({ closed }) => closed), [1]);
});

Deno.test("Safetensors.openSharded() passes on other errors of a shard", async () => {
  const { opened, openShard } = shards({ "2.safetensors": new Uint8Array(2) });
  const both = index({ a: "1.safetensors", b: "2.safetensors" });
  await refuses(Safetensors.openSharded(both, openShard), "file-too-short", "2.safetensors");
  assertEquals(opened.map(({ closed }) => closed), [1, 1]);
  for (
    const error of [new FileError("file-unreadable", "x"), new DOMException("x", "AbortError")]
  ) {
    const file = Safetensors.openSharded(index({ a: "1" }), () => Promise.reject(error));
    assertEquals(await file.catch((caught) => caught), error);
  }
});

Deno.test("Safetensors.openSharded() refuses a broken index", async () => {
  const of = (text: string, size?: number) =>
    Safetensors.openSharded(
      new Spy(new TextEncoder().encode(text), size, "i.json"),
      shards().openShard,
    );
  await refuses(of("[]"), "index-bad-start", "the index does not start");
  await refuses(of("{"), "index-not-json", "the index is not valid JSON");
  await refuses(of("{}"), "bad-index", "weight_map must be an object");
  await refuses(of(`{"weight_map":{"a":1}}`), "bad-index", `weight_map "a" must be a file name`);
  await refuses(of(`{"weight_map":{"a":"1","a":"1"}}`), "duplicate-key", `the key "a" twice`);
  await refuses(of("{}", 2e9), "index-too-large", "index is 2 GB, the limit is 100 MB");
  const bytes = new Spy(new Uint8Array([0x7b, 0xff]), undefined, "i.json");
  await refuses(Safetensors.openSharded(bytes, shards().openShard), "index-not-utf8", "UTF-8");
});
