import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { CheckpointError } from "../../../engine/mod.ts";
import { openTensorFile } from "../../../model/checkpoint/files.ts";
import { openFolder } from "../../../model/checkpoint/folder.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { blankFolder } from "../../../model/release/blank_folder.ts";
import { convertFile } from "../../../model/release/convert.ts";
import { inFolder } from "../../commands/process.ts";
import { NANO } from "../../nano.ts";

Deno.test("blankFolder() has the tensors that convert writes, all zeros", () =>
  inFolder(async (folder) => {
    const path = fromFileUrl(NANO);
    const config = parseConfig(await openFolder(path).json("config.json"), "emoji-nano");
    for (const type of ["f32", "f16", "q8_0", "q4_0"] as const) {
      const blank = blankFolder(config, type);
      for (const part of ["transformer", "text_encoder", "vae"] as const) {
        const name = config.files[part];
        await convertFile(join(path, name), join(folder, "converted"), { type });
        const [written, made] = [
          await openTensorFile(join(folder, "converted")),
          await blank.tensors(name),
        ];
        const kinds = ({ tensors }: typeof made) =>
          [...tensors.values()]
            .filter(({ name }) => !name.endsWith("zero_k_bias")) // of which nobody reads the zeros
            .map(({ name, dtype, shape }) => `${name} ${dtype} ${shape}`)
            .sort();
        assertEquals(kinds(made), kinds(written));
        assertEquals(made.metadata.quantisation, written.metadata.quantisation);
        const last = [...made.tensors.keys()].at(-1)!;
        assertEquals((await made.readFloat32(last)).find((value) => value !== 0), undefined);
        written.close();
        made.close();
      }
      assertEquals(await blank.exists("tokenizer.json"), false);
      await assertRejects(() => blank.json("config.json"), CheckpointError, "the folder is blank");
    }
  }));
