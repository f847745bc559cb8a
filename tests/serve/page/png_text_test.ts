import { assertEquals } from "@std/assert";
import { encodePng, readPngText } from "../../../model/image/png.ts";
import { readParametersText, writeParametersText } from "../../../serve/page/data/png_text.ts";

const png = (text: Record<string, string>) => encodePng(new Uint8Array(4).fill(255), 1, 1, text);

Deno.test("The page reads what the engine writes, Latin-1 or not", async () => {
  for (const parameters of ["plain", "cliché", "猫, 🚀", ""]) {
    const file = new Blob([png({ Comment: "another", parameters })]);
    assertEquals(await readParametersText(file), parameters);
  }
});

Deno.test("The engine reads what the page writes", async () => {
  const file = await writeParametersText(new Blob([png({})]), "猫\nSteps: 4").arrayBuffer();
  assertEquals(readPngText(new Uint8Array(file)).parameters, "猫\nSteps: 4");
});

Deno.test("Files without parameters, damaged or not PNG at all, have none", async () => {
  const whole = png({ parameters: "some" });
  for (
    const bytes of [
      png({}),
      whole.subarray(0, 40),
      whole.subarray(0, 5),
      new Uint8Array(100),
      new Uint8Array(),
    ]
  ) assertEquals(await readParametersText(new Blob([bytes])), null);
});

Deno.test("Compressed text is read, as far as a limit", async () => {
  const deflate = async (text: Uint8Array<ArrayBuffer>) => {
    const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const withChunk = async (type: string, head: string, text: Uint8Array<ArrayBuffer>) => {
    const data = [...new TextEncoder().encode(head), ...await deflate(text)];
    const chunk = new Uint8Array(data.length + 12);
    new DataView(chunk.buffer).setUint32(0, data.length);
    chunk.set(new TextEncoder().encode(type), 4);
    chunk.set(data, 8);
    const bytes = png({});
    return new Blob([bytes.subarray(0, 33), chunk, bytes.subarray(33)]);
  };
  const text = new TextEncoder().encode("a cat");
  const old = await withChunk("zTXt", "parameters\0\0", text);
  assertEquals(await readParametersText(old), "a cat");
  const international = await withChunk("iTXt", "parameters\0\x01\0\0\0", text);
  assertEquals(await readParametersText(international), "a cat");
  const bomb = await withChunk("zTXt", "parameters\0\0", new Uint8Array(8 << 20));
  assertEquals((await readParametersText(bomb))!.length, 1 << 20);
});
