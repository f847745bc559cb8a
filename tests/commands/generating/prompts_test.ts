import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { BitwiseError } from "../../../engine/mod.ts";
import { readNegativePrompt, readPrompts } from "../../../commands/generating/prompts.ts";
import { fakeIo, inFolder } from "../process.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("readPrompts() takes text, stdin, files, and a file of lines", () =>
  inFolder(async (folder) => {
    const file = join(folder, "p.txt");
    await Deno.writeTextFile(file, "red apple\r\n\n  blue car\n");
    const read = (given: Parameters<typeof readPrompts>[0], words: string[] = [], stdin = "") =>
      readPrompts(given, words, fakeIo(bytes(stdin)));
    assertEquals(await read({}, ["red", "apple"]), ["red apple"]);
    assertEquals(await read({ prompt: ["-", "x"] }, [], "from\nstdin\n"), ["from\nstdin", "x"]);
    assertEquals(await read({}, ["-"], "cat\n"), ["cat"]);
    assertEquals(await read({ prompt: [`@${file}`] }), ["red apple\r\n\n  blue car"]);
    assertEquals(await read({ prompt: ["@@home", "@"] }), ["@home", "@"]);
    assertEquals(await read({ "prompt-file": file }), ["red apple", "  blue car"]);
    assertEquals(await read({ "prompt-file": "-" }, [], "a\nb"), ["a", "b"]);
    assertEquals(await read({ "text-features": "f" }), []);

    const io = fakeIo(bytes("blurry\n"));
    assertEquals(await readNegativePrompt({ "negative-prompt-file": "-" }, io), "blurry");
    assertEquals(await readNegativePrompt({ "negative-prompt": "" }, io), "");
    assertEquals(await readNegativePrompt({}, io), undefined);
  }));

Deno.test("readPrompts() refuses with one line", () =>
  inFolder(async (folder) => {
    const file = join(folder, "p.txt");
    const refuses = async (
      given: Parameters<typeof readPrompts>[0],
      message: string,
      stdin: Uint8Array<ArrayBuffer> = new Uint8Array(),
    ) => void await assertRejects(() => readPrompts(given, [], fakeIo(stdin)), Error, message);
    await refuses({}, "Cannot generate from an empty prompt");
    await refuses({ prompt: ["-"] }, "Cannot generate from an empty prompt");
    await refuses({ prompt: [`@${file}`] }, "no such file");
    await refuses({ prompt: ["x"], "prompt-file": file }, "--prompt-file and a prompt together");
    await refuses({ prompt: ["-", "-"] }, "Cannot read stdin twice", bytes("x"));
    await refuses({ prompt: ["-"] }, 'Cannot read "stdin": it is not UTF-8', Uint8Array.of(0xff));
    const large = new Uint8Array(2 ** 20 + 1).fill(65);
    await refuses({ prompt: ["-"] }, 'Cannot read "stdin": it has more than 1 MB', large);
    if (Deno.build.os !== "windows") {
      await refuses({ prompt: ["@/dev/zero"] }, 'Cannot read "/dev/zero": it has more than 1 MB');
    }
  }));

Deno.test("readPrompts() reads what editors write, and bounds what others do", () =>
  inFolder(async (folder) => {
    const file = join(folder, "p.txt");
    const read = async (content: string | Uint8Array<ArrayBuffer>) => {
      await Deno.writeFile(file, typeof content === "string" ? bytes(content) : content);
      return await readPrompts({ "prompt-file": file }, [], fakeIo(bytes("")));
    };
    assertEquals(await read("\ufeffred apple\r\nblue car\r\n"), ["red apple", "blue car"]);
    assertEquals(await read("red\0apple\n"), ["red\0apple"]);
    assertEquals((await read("a\n".repeat(5e5))).length, 5e5);
    const refused: [Uint8Array<ArrayBuffer>, string][] = [
      [bytes("cat\n".repeat(1e6)), "it has more than 1 MB"],
      [Uint8Array.of(0x63, 0xe9, 0x0a), "it is not UTF-8 text"],
      [Uint8Array.of(0xff, 0xfe, 0x63, 0), "it is not UTF-8 text"],
      [bytes("\n \r\n\t\n"), "Cannot generate from an empty prompt"],
    ];
    for (const [content, message] of refused) {
      const { message: line } = await assertRejects(() => read(content), BitwiseError, message);
      assertEquals(line.includes("\n"), false);
    }
  }));
