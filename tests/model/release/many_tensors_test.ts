// Files of as many tensors as no model has: nothing may run out of stack, or take time that grows as their square.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { inspectTensors } from "../../../commands/inspecting/tensors.ts";
import { bytesSource, CheckpointError, Safetensors } from "../../../engine/mod.ts";
import { checkTensors } from "../../../model/checkpoint/check_tensors.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { checkpointRoot } from "../../../model/release/checkpoint_root.ts";
import { convertFile, openWeights } from "../../../model/release/convert.ts";
import { inFolder } from "../../commands/process.ts";
import { inTime } from "../../in_time.ts";

const COUNT = 130_000;
const names = Array.from({ length: COUNT }, (_, i) => `t${i}`);

/** A file of empty tensors. */
function empty(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const entries = names.map((name) => `"${name}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`);
  const header = new TextEncoder().encode(`{${entries.join()}}`);
  const bytes = new Uint8Array(8 + header.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  return bytes;
}

/** Milliseconds for a step: seconds on a slow machine, where the square would take minutes. */
const LIMIT = 30_000;

Deno.test("130,000 tensors open in one file and in shards, and are inspected and converted", () =>
  inFolder(async (folder) => {
    const bytes = empty(names);
    const path = join(folder, "many.safetensors");
    await Deno.writeFile(path, bytes);
    const source = (name: string) => Promise.resolve(bytesSource(name, bytes));
    const file = await inTime(LIMIT, async () => await Safetensors.open(await source("s")));
    assertEquals(file.tensors.size, COUNT);
    const shards = await inTime(LIMIT, () => {
      const weight_map = Object.fromEntries(names.map((name) => [name, "s"]));
      const index = new TextEncoder().encode(JSON.stringify({ weight_map }));
      return Safetensors.openSharded(bytesSource("i", index), source);
    });
    assertEquals([...shards.tensors.keys()], names);
    await inTime(LIMIT, () => {
      assertEquals(checkpointRoot(file).tensors.size, COUNT);
      assertThrows(() => checkpointRoot(file, "none"), CheckpointError, "no tensors below");
      const check = () => checkTensors(parseConfig({}, "x"), "transformer", file);
      assert(assertThrows(check, CheckpointError).message.length < 500);
    });
    const { lines } = await inTime(LIMIT, async () => {
      return await inspectTensors(path, await openWeights(path));
    });
    assertEquals(lines.length, COUNT + 1);
    const target = join(folder, "out.safetensors");
    const { tensors } = await inTime(LIMIT, () => convertFile(path, target, { type: "q8_0" }));
    assertEquals(tensors, COUNT);
  }));

Deno.test("5000 shards open, and one that lacks a tensor is named", async () => {
  const some = names.slice(0, 5000);
  const shard = (name: string) => Promise.resolve(bytesSource(name, empty([name])));
  const index = (prefix: string) => {
    const weight_map = Object.fromEntries(some.map((name) => [name, prefix + name]));
    return bytesSource("i", new TextEncoder().encode(JSON.stringify({ weight_map })));
  };
  const shards = await inTime(LIMIT, () => Safetensors.openSharded(index(""), shard));
  assertEquals(shards.tensors.size, some.length);
  const open = () => Safetensors.openSharded(index("x"), shard);
  await assertRejects(open, Error, 'tensor "t0" is listed but absent from "xt0"');
});
