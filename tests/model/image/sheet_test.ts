import { assertEquals } from "@std/assert";
import { enlarge } from "../../../model/image/enlarge.ts";
import { contactSheet } from "../../../model/image/sheet.ts";

Deno.test("enlarge() makes each pixel a square", () => {
  const rgba = Uint8Array.from({ length: 8 }, (_, i) => i);
  const [a, b] = [[0, 1, 2, 3], [4, 5, 6, 7]] as const;
  assertEquals(enlarge({ width: 2, height: 1, rgba }, 2), {
    width: 4,
    height: 2,
    rgba: Uint8Array.from([a, a, b, b, a, a, b, b].flat()),
  });
  assertEquals(enlarge({ width: 1, height: 2, rgba }, 1), { width: 1, height: 2, rgba });
});

Deno.test("contactSheet() enlarges small images and fills rows", () => {
  const dot = (value: number) => ({
    width: 64,
    height: 64,
    rgba: new Uint8Array(16384).fill(value),
  });
  const sheet = contactSheet([dot(1), dot(2), dot(3)], 2);
  assertEquals([sheet.width, sheet.height], [2 * 128 + 24, 2 * 128 + 24]);
  const at = (x: number, y: number) => sheet.rgba[4 * (y * sheet.width + x)];
  assertEquals([at(7, 8), at(8, 8), at(135, 135), at(136, 8), at(144, 8)], [255, 1, 1, 255, 2]);
  assertEquals([at(8, 144), at(144, 144)], [3, 255]);
  const large = { width: 96, height: 96, rgba: new Uint8Array(96 * 96 * 4) };
  assertEquals(contactSheet([large], 1).width, 96 + 16); // twice as large would be past 128
});
