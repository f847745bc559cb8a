import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { composeScenes } from "../../../kernels/images/compose_scenes.ts";
import { packScenes, type PlacedScene } from "../../../kernels/images/scene_layout.ts";
import { Draw } from "../../ops/draw.ts";
import { anyScene, anyTexels } from "../../ops/images.ts";
import { assertTensor, device, poisoned, TOLERANCE, upload } from "../harness.ts";
import * as reference from "./references.ts";

const TWO_TEXELS = {
  texels: upload("u32", [2], [0xff0000ff, 0xff0000ff]),
  shares: poisoned("u32", [1]),
};

const plainScene = (sprites: PlacedScene["sprites"] = []): PlacedScene => ({
  colours: [[[0, 0, 1], [0, 0, 1]], [[1, 1, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 1]]],
  horizon: 2,
  shore: 2,
  dots: [],
  sprites,
});

Deno.test("composeScenes() draws backgrounds, dots and sprites as float64 does", async () => {
  for (const [seed, B, S, side] of [[1, 3, 16, 5], [2, 1, 1, 1], [3, 2, 37, 8]] as const) {
    const draw = new Draw(seed);
    const texels = anyTexels(draw, side, 3);
    const scenes = Array.from({ length: B }, () => anyScene(draw, side, 3));
    const packed = packScenes(scenes);
    const y = poisoned("f32", [B, S, S, 3]);
    composeScenes(device, {
      scenes: upload("u32", [packed.length], packed),
      texels: upload("u32", [3 * side * side], new Uint32Array(texels.rgba.buffer)),
      shares: upload("u32", [texels.shares.length / 4], new Uint32Array(texels.shares.buffer)),
      y,
    });
    await assertTensor(y, reference.composeScenes(scenes, texels, S), TOLERANCE.f32);
  }
});

Deno.test("composeScenes() draws from back to front, and nothing outside a sprite", async () => {
  const sprite = (first: number): PlacedScene["sprites"][number] => ({
    first,
    side: 1,
    matrix: [[2, 0, 0], [0, 2, -0.5]], // half of the image
    recolour: null,
    shadow: { centre: [0, 0], radii: [1, 1], strength: 0 },
  });
  const texels = upload("u32", [2], [0xff0000ff, 0xff00ff00]); // red, green
  const packed = packScenes([plainScene([sprite(0), sprite(1)]), plainScene()]);
  const y = poisoned("f32", [2, 2, 2, 3]);
  const scenes = upload("u32", [packed.length], packed);
  composeScenes(device, { ...TWO_TEXELS, scenes, texels, y });
  const found = [...await device.read(y)] as number[];
  const blue = [-1, -1, 1];
  assertEquals(found.slice(12), [blue, blue, blue, blue].flat());
  assertEquals(found.slice(3, 6), blue);
  // the pixel lies in the middle of the texel across, and on its edge down: half green over half red over blue
  assertEquals(found.slice(0, 3), [-0.5, 0, -0.5]);
});

Deno.test("composeScenes() refuses shapes that disagree", () => {
  const packed = packScenes([plainScene()]);
  const scenes = upload("u32", [packed.length], packed);
  const refuse = (change: object) =>
    assertThrows(
      () =>
        composeScenes(device, {
          ...TWO_TEXELS,
          scenes,
          y: poisoned("f32", [1, 4, 4, 3]),
          ...change,
        }),
      KernelError,
      "Cannot compose",
    );
  refuse({ y: poisoned("f32", [2, 4, 4, 3]) });
  refuse({ y: poisoned("f32", [1, 4, 5, 3]) });
  refuse({ y: poisoned("f32", [1, 4, 4, 4]) });
  refuse({ y: poisoned("f16", [1, 4, 4, 3]) });
  refuse({ shares: poisoned("u32", [1]), texels: poisoned("u32", [5]) });
  refuse({ scenes: poisoned("f32", [28]) });
});
