import { assertEquals, assertObjectMatch } from "@std/assert";
import { decodePng } from "../../decode_png.ts";
import { readPngText } from "../../../model/image/png.ts";
import { InfinityModel } from "../../../model/infinity.ts";

const model = await InfinityModel.load();
const result = await model.generate("red apple", { seed: 7, trace: true });
const [image] = result.images;

Deno.test("toPng() and toBlob() are bodies of a response, and hold the parameters", async () => {
  const { bytes, type } = await new Response(image!.toBlob()).blob()
    .then(async (blob) => ({ bytes: await blob.bytes(), type: blob.type }));
  assertEquals(type, "image/png");
  assertEquals(bytes, await new Response(image!.toPng()).bytes());
  assertEquals(decodePng(bytes).rgba, image!.rgba);
  assertEquals(readPngText(bytes), { parameters: image!.parameters });
});

Deno.test("Jupyter shows an image: Symbol.for('Jupyter.display') gives its PNG in base64", () => {
  const display = (image as unknown as Record<symbol, () => Record<string, string>>)[
    Symbol.for("Jupyter.display")
  ]!;
  const bundle = display.call(image);
  assertEquals(Object.keys(bundle), ["image/png"]);
  const bytes = Uint8Array.from(atob(bundle["image/png"]!), (c) => c.charCodeAt(0));
  assertEquals(bytes, image!.toPng());
});

Deno.test("JSON.stringify(result) holds settings and times, no pixels, bits or tensors", () => {
  const text = JSON.stringify(result);
  const { images, trace, ...rest } = JSON.parse(text);
  const { parameters } = image!;
  const expected = { width: 32, height: 32, prompt: "red apple", seed: 7, parameters };
  assertEquals(images, [expected]);
  assertEquals(trace[0].shape, result.trace[0]!.shape);
  assertObjectMatch(rest, { seconds: result.seconds, warnings: [] });
  assertEquals("data" in trace[0], false);
});

Deno.test("JSON.stringify(image) writes a seed that no number holds as text", async () => {
  const { images } = await model.generate("red apple", { seed: 2n ** 60n });
  assertEquals(JSON.parse(JSON.stringify(images[0])).seed, "1152921504606846976");
});

Deno.test("decode() returns an image without settings", async () => {
  const decoded = await model.decode(image!.bits);
  assertEquals(JSON.parse(JSON.stringify(decoded)), { width: 32, height: 32 });
  assertEquals(readPngText(decoded.toPng()), {});
});
