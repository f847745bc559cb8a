import { defineKernel, type Device, KernelError, type Tensor } from "../../engine/mod.ts";
import { spread } from "../shared/spread.ts";
import source from "./add_level.wgsl" with { type: "text" };

const kernel = defineKernel("add_level", source, ["table", "level", "y"], [
  "count",
  "rows",
  "width",
]);

/** Arguments of {@link addLevel}. */
export interface AddLevelArgs {
  /** `lvl_embed.weight` [levels, C] f32. */
  readonly table: Tensor;
  /** Scale index of each token, u32 [L]. */
  readonly level: Tensor;
  /** [B, L, C] f32, changed in place. */
  readonly y: Tensor;
}

/**
 * Adds the level embedding of each token's scale to y (`add_lvl_embeding` in infinity/models/infinity.py).
 *
 * @throws {KernelError} `bad-shape`: shapes disagree or C is not divisible by 4.
 */
export function addLevel(device: Device, { table, level, y }: AddLevelArgs): void {
  const [, rows = 0, C = 0] = y.shape;
  if (C % 4 || table.shape[1] !== C || level.elements !== rows) {
    throw new KernelError(
      "bad-shape",
      `Cannot add levels [${level.shape}] of [${table.shape}] to [${y.shape}]`,
    );
  }
  const { WG, workgroups } = spread(device, y.elements / 4);
  device.run(kernel, {
    specialise: { WG },
    bind: { table, level, y },
    params: { count: y.elements / 4, rows, width: C / 4 },
    workgroups,
  });
}
