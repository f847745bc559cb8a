import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { encodePng } from "../../model/image/png.ts";
import { ended, inFolder, start } from "./process.ts";

Deno.test("generate warns of lost words, of foreign syntax and of an alpha that is a mask, also with -q", () =>
  inFolder(async (cwd) => {
    const rgba = new Uint8Array(32 * 32 * 4).map((_, i) => i % 128 < 64 ? 200 : 0);
    await Deno.writeFile(join(cwd, "erased.png"), encodePng(rgba, 32, 32));
    await Deno.writeTextFile(join(cwd, "prompts.txt"), "green 苹果\n(car:1.4)\n");
    const args = ["generate", "-i", "erased.png", "--prompt-file", "prompts.txt", "--json"];
    const { code, out, said } = await ended(start([...args, "-q"], { cwd }));
    const expected = [
      "Only the transparent parts of the image are drawn: they are its mask",
      'The model does not know some characters of "苹果": they are lost',
      'Prompts have no weights and no syntax; read as plain text: "(car:1.4)"',
    ];
    const { warnings, images } = JSON.parse(out);
    assertEquals([code, new Set(warnings)], [0, new Set(expected)]);
    assertEquals(new Set(said), new Set(expected.map((line) => `warning: ${line}`)));
    assert(images.every(({ parameters }: { parameters: string }) => parameters.includes("Masked")));
  }));
