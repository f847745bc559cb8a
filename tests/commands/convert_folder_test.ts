import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { main } from "../../cli.ts";
import { fakeIo, filesIn, inFolder } from "./process.ts";

Deno.test("convert DIR reports which model it recognises, and what is missing", () =>
  inFolder(async (folder) => {
    const weights = join(folder, "weights");
    const output = join(folder, "model");
    await Deno.mkdir(weights);
    const fails = async (args: string[], code: number, message: string) => {
      const io = fakeIo();
      assertEquals(await main(["convert", weights, "-o", output, ...args], io), code);
      assert(io.errors().startsWith("error: ") && io.errors().includes(message), io.errors());
      assertEquals(io.errors().split("\n").length, 2, io.errors());
      assertEquals(filesIn(folder), ["weights"]);
    };
    await fails([], 2, "no file in it has the name of a published model; name it with --preset");
    await fails(["--preset", "3b"], 2, 'Cannot use preset "3b": it must be one of 125m');
    await fails(["--key", "ema"], 2, "Cannot use --key with a folder");
    await fails(["--preset", "8b"], 1, "it lacks infinity_8b_weights/model.safetensors.index.json");
    await Deno.writeTextFile(join(weights, "infinity_2b_reg.pth"), "");
    await Deno.writeTextFile(join(weights, "infinity_vae_d32.pth"), "");
    await fails(
      [],
      1,
      "its VAEs are infinity_vae_d32.pth, infinity-2b needs infinity_vae_d32reg",
    );
    await Deno.rename(
      join(weights, "infinity_vae_d32.pth"),
      join(weights, "infinity_vae_d32reg.pth"),
    );
    await fails(
      [],
      1,
      "it lacks tokenizer.json and model.safetensors.index.json of google/flan-t5",
    );
  }));
