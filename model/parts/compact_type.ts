import type { Device } from "../../engine/mod.ts";
import type { WeightType } from "../../kernels/linear/weight_types.ts";
import type { Folder } from "../checkpoint/place.ts";
import { quantisationOf } from "../checkpoint/quantised_blocks.ts";

/**
 * The storage type that keeps weights as small on the device as in their file, if it computes fast with it; undefined
 * for f32.
 *
 * @throws {FileError} The file does not exist.
 */
export async function compactType(
  { capabilities }: Device,
  folder: Folder,
  name: string,
): Promise<WeightType | undefined> {
  const file = await folder.tensors(name);
  file.close();
  const quantised = quantisationOf(file.metadata);
  if (quantised || capabilities.class === "cpu" || !capabilities.f16) return quantised;
  const { dtype } = [...file.tensors.values()].reduce((a, b) => b.elements > a.elements ? b : a);
  return dtype === "F16" || dtype === "BF16" ? "f16" : undefined;
}
