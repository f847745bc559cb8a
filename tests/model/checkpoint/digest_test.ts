import { assertEquals, assertNotEquals } from "@std/assert";
import { digestOf } from "../../../model/checkpoint/digest.ts";
import { openFolder } from "../../../model/checkpoint/folder.ts";
import { folderAt, type Place } from "../../../model/checkpoint/place.ts";
import { fileSource } from "../../../model/checkpoint/files.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { bytesSource } from "../../../engine/mod.ts";
import { fromFileUrl } from "@std/path";
import { NANO } from "../../nano.ts";

const config = parseConfig(await openFolder(NANO).json("config.json"), "config.json");

/** The digest of emoji-nano, one of whose files is changed. */
async function digest(name = "", change: (bytes: Uint8Array) => void = () => {}): Promise<string> {
  const path = (file: string) => fromFileUrl(new URL(file, NANO));
  const place: Place = {
    path,
    has: () => Promise.resolve(true),
    async open(file) {
      if (file !== name) return await fileSource(path(file));
      const bytes = await Deno.readFile(path(file));
      change(bytes);
      return bytesSource(file, bytes);
    },
  };
  return await digestOf(folderAt(place), config);
}

Deno.test("digestOf() tells a model from one that was trained further, or whose adapters were merged", async () => {
  const own = await digest();
  assertEquals([own.length, await digest()], [16, own]);
  const { transformer, vae, text_encoder } = config.files;
  for (const name of [transformer, vae, text_encoder]) {
    const file = await openFolder(NANO).tensors(name);
    const sizes = [...file.tensors.values()].sort((a, b) => b.byteLength - a.byteLength);
    file.close();
    // all of its matrices change, if by little
    const changed = await digest(name, (bytes) => {
      for (const { offset, byteLength } of sizes.slice(0, sizes.length / 2)) {
        for (let i = offset; i < offset + byteLength; i += 2) bytes[i] = bytes[i]! ^ 1;
      }
    });
    assertNotEquals(changed, own, name);
  }
  const other = { ...config, defaults: { ...config.defaults, tau: 0.9 } };
  assertNotEquals(await digestOf(openFolder(NANO), other), own);
});
