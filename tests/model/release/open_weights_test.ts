import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { BitwiseError, encodeSafetensors } from "../../../engine/mod.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { convertFile, openWeights } from "../../../model/release/convert.ts";
import { filesIn, inFolder } from "../../commands/process.ts";
import { legacyPth, pth, py, storage, tensor } from "./torch/torch_files.ts";

const values = Float32Array.of(1, 2, 3);
const numbers = storage("0", "Float", values);
const CONTENTS = {
  safetensors: encodeSafetensors([{ name: "w", dtype: "F32", shape: [3], data: values }]),
  zip: pth(py.dict({ w: tensor(numbers, [3]) }), [numbers]),
  legacy: legacyPth(py.dict({ w: tensor(numbers, [3]) }), [numbers]),
};

Deno.test("openWeights() goes by a file's content, whatever its name", () =>
  inFolder(async (folder) => {
    for (const [kind, bytes] of Object.entries(CONTENTS)) {
      for (const name of ["x.pth", "x.safetensors", "x.bin", "x"]) {
        const path = join(folder, name);
        await Deno.writeFile(path, bytes);
        const file = await openWeights(path);
        assertEquals(await file.readFloat32("w"), values, `${kind} as ${name}`);
        file.close();
        await Deno.remove(path);
      }
    }
  }));

Deno.test("openWeights() and openTensorFile() say what else a file is, and what to do", () =>
  inFolder(async (folder) => {
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    const cases: [content: string | Uint8Array, what: string][] = [
      [pointer, "it is a Git LFS pointer, not the file; run git lfs pull"],
      ["<html><title>404</title>", "it is a web page, not the file; download the file itself"],
      ["", "it is empty; download it again"],
      [new Uint8Array(5000), "it is an unfinished download, all zeros; download it again"],
      ["GGUF\x03\0\0\0", "it is a GGUF file; use "],
      ["\x1f\x8b\x08\0\0\0\0\0\0\0", "it is a gzip archive; unpack it first"],
      ["PK\x03\x04", "it is a ZIP archive; unpack it first"],
    ];
    for (const [content, what] of cases) {
      const bytes = typeof content === "string"
        ? Uint8Array.from(content, (char) => char.charCodeAt(0))
        : content;
      for (const name of ["lfs.pth", "x.safetensors"]) {
        const path = join(folder, name);
        await Deno.writeFile(path, bytes);
        const target = join(folder, "out.safetensors");
        for (
          const open of [() => openWeights(path), () => openTensorFile(path), () => {
            return convertFile(path, target);
          }]
        ) {
          const error = await assertRejects(() => open() as Promise<unknown>, BitwiseError);
          const known = error.message.startsWith(`Cannot read ${JSON.stringify(path)}: ${what}`);
          // a truncated archive of PyTorch looks like any other
          assert(known || /zip archive has no directory/.test(error.message), error.message);
        }
        await Deno.remove(path);
      }
    }
    assertEquals(filesIn(folder), []);
    const path = join(folder, "x.safetensors");
    for (const bytes of [CONTENTS.zip, CONTENTS.legacy]) {
      await Deno.writeFile(path, bytes);
      const message = "; convert it to safetensors";
      await assertRejects(() => openTensorFile(path), BitwiseError, message);
    }
  }));
