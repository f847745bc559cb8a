import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { InfinityModel } from "../../../../model/infinity.ts";
import type { GenerateOptions } from "../../../../model/generate/options.ts";
import { encodePng, type Image } from "../../../../model/image/png.ts";
import { device } from "../../../harness.ts";
import { NANO } from "../../../nano.ts";

const model = await InfinityModel.load(NANO, { device });
const NOTE = "Only the transparent parts of the image are drawn: they are its mask";

/** A drawing, of which `alpha` says what is left; where nothing is, another colour lies below. */
function drawing(alpha: (row: number, col: number) => number, below = 0, side = 32): Image {
  const rgba = new Uint8Array(side * side * 4);
  for (let i = 0; i < side * side; i++) {
    const [row, col] = [Math.floor(i / side), i % side];
    const left = alpha(row, col);
    rgba.set(
      left ? [200, 8 * row * 32 / side, 4 * col * 32 / side, left] : [below, 90, below, 0],
      4 * i,
    );
  }
  return { width: side, height: side, rgba };
}

const erasedRight = (_: number, col: number) => col < 16 ? 255 : 0;
const options: GenerateOptions = { prompt: "green car", seed: 3, trace: true };

const edit = (image: Image | Uint8Array, more: GenerateOptions = {}) =>
  model.edit(image, { ...options, ...more });
const rgba = (result: Awaited<ReturnType<typeof edit>>) => result.images[0]!.rgba;

Deno.test("edit() draws the transparent parts of an image, as with a mask of them", async () => {
  const erased = drawing(erasedRight);
  const result = await edit(erased);
  assertEquals(result.warnings, [NOTE]);
  assertStringIncludes(result.images[0]!.parameters, "Masked: True");
  // what a mask of the same parts makes of the image on white
  const onWhite = drawing(() => 255);
  onWhite.rgba.forEach((_, i) => i % 128 >= 64 && (onWhite.rgba[i] = 255));
  const white = drawing(erasedRight);
  white.rgba.forEach((_, i) => white.rgba[i] = i % 128 >= 64 || i % 4 === 3 ? 255 : 0);
  const masked = await edit(onWhite, { mask: white });
  assertEquals(masked.warnings, []);
  assertEquals(rgba(result), rgba(masked));
  // a file, any colour below what is erased, and shades of transparency give the same
  assertEquals(rgba(await edit(encodePng(erased.rgba, 32, 32))), rgba(result));
  assertEquals(rgba(await edit(drawing(erasedRight, 255))), rgba(result));
  const [kept, drawn] = [drawing((_, col) => col < 16 ? 255 : 120), drawing(() => 135)];
  assertEquals((await edit(kept)).warnings, [NOTE]);
  assertEquals((await edit(drawn)).warnings, []);
});

Deno.test("edit() uses no mask if nothing or all of an image is transparent, or one is given", async () => {
  for (const alpha of [255, 0]) {
    const { warnings, images } = await edit(drawing(() => alpha));
    assertEquals(warnings, []);
    assert(!images[0]!.parameters.includes("Masked"));
  }
  const white = drawing(() => 255);
  white.rgba.fill(255);
  const given = await edit(drawing(erasedRight), { mask: white });
  assertEquals(given.warnings, []);
  assertNotEquals(rgba(given), rgba(await edit(drawing(erasedRight))));
  // too small a part to be drawn alone
  const dot = await edit(drawing((row, col) => row + col ? 255 : 0));
  assertEquals([dot.warnings, dot.images[0]!.parameters.includes("Masked")], [[], false]);
});

Deno.test("edit() counts what is transparent after the image is fitted to the model", async () => {
  const wide = drawing((_, col) => col < 48 ? 255 : 0, 0, 96);
  assertEquals((await edit(wide)).warnings, [NOTE]);
  const strengths = [undefined, 0.5].map((strength) => edit(drawing(erasedRight), { strength }));
  const [all, half] = await Promise.all(strengths);
  assertStringIncludes(all!.images[0]!.parameters, "Kept scales: 0");
  assertStringIncludes(half!.images[0]!.parameters, "Kept scales: 2");
});
