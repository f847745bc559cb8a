import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { divideLines } from "../shared/divide.ts";
import { spread } from "../shared/spread.ts";
import { HEAD, OBJECT } from "./scene_layout.ts";
import source from "./compose_scenes.wgsl" with { type: "text" };

const kernel = defineKernel("compose_scenes", source, ["scenes", "texels", "shares", "y"], [
  "pixels",
  "size",
]);

/** Arguments of {@link composeScenes}. */
export interface ComposeScenesArgs {
  /** u32, what {@link packScenes} returned for as many scenes as y has. */
  readonly scenes: Tensor;
  /** u32: bytes red, green, blue and coverage of the sprites' texels, colours not multiplied by coverage. */
  readonly texels: Tensor;
  /** u32: for each texel one byte, the share of its colour that recolouring replaces, four in a word. */
  readonly shares: Tensor;
  /** [B, S, S, 3] f32: red, green and blue from −1 to 1. */
  readonly y: Tensor;
}

/**
 * y = scenes that are composed of sprites. The caller answers for what the scenes refer to: texels beyond the end read
 * as others do.
 *
 * @throws {KernelError} `bad-shape`: shapes disagree, or scenes are not square.
 */
export function composeScenes(
  device: Device,
  { scenes, texels, shares, y }: ComposeScenesArgs,
): void {
  const [B = 0, S = 0, width, channels] = y.shape;
  if (
    y.shape.length !== 4 || width !== S || channels !== 3 || y.dtype !== "f32" ||
    [scenes, texels, shares].some(({ dtype }) => dtype !== "u32") ||
    scenes.elements < B * HEAD * 4 || scenes.elements % 4 || shares.elements * 4 < texels.elements
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot compose ${scenes.dtype} [${scenes.shape}] of [${texels.shape}] texels and ` +
        `[${shares.shape}] shares into ${y.dtype} [${y.shape}]`,
    );
  }
  const pixels = B * S * S;
  const { WG, workgroups } = spread(device, pixels);
  device.run(kernel, {
    specialise: { WG, HEAD, OBJECT },
    functions: divideLines(device, pixels),
    bind: { scenes, texels, shares, y },
    params: { pixels, size: S },
    workgroups,
  });
}
