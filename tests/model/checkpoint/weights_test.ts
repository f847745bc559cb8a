import { assertEquals } from "@std/assert";
import { bytesSource, Safetensors, safetensorsHeader, toFloat32 } from "../../../engine/mod.ts";
import { PART, Weights } from "../../../model/checkpoint/weights.ts";
import { device } from "../../harness.ts";

/** A file of one tensor. */
function fileOf(dtype: "F16" | "BF16" | "F32", shape: number[], data: Uint8Array) {
  const header = safetensorsHeader([{ name: "table", dtype, shape }]);
  const bytes = new Uint8Array(header.length + data.length);
  bytes.set(header);
  bytes.set(data, header.length);
  return Safetensors.open(bytesSource("test.safetensors", bytes));
}

for (const dtype of ["F16", "BF16", "F32"] as const) {
  Deno.test(`Weights.table() loads ${dtype} in parts, with the bits of the host's conversion`, async () => {
    const C = 4000;
    const rows = Math.floor(PART / (4 * C)); // of the first part
    const V = rows + 3;
    const elementBytes = dtype === "F32" ? 4 : 2;
    const data = new Uint8Array(V * C * elementBytes);
    // finite numbers of all sizes, in the rows on both sides of the border
    const words = new Uint16Array(data.buffer);
    const border = (rows - 1) * C * elementBytes / 2;
    for (let i = border; i < words.length; i++) words[i] = i * 40503 & 0xb7ff;
    const file = await fileOf(dtype, [V, C], data);
    const weights = new Weights(device, file, "f32");
    const parts = await weights.table("table", [V, C]);
    assertEquals(parts.map(({ shape }) => shape), [[rows, C], [3, C]]);
    const expected = toFloat32(data.subarray((rows - 1) * C * elementBytes), dtype);
    const [last, rest] = await device.readAll([parts[0]!.rows(rows - 1, 1), parts[1]!]);
    assertEquals([...last!, ...rest!], [...expected]);
    weights.dispose();
    file.close();
    device.trim();
  });
}
