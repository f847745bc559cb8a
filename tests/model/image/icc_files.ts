/** ICC profiles of our own making. */

import { Buffer } from "node:buffer";

/** Numbers as ICC stores them: 16 bits before the point, 16 after it. */
function fixed(...values: number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => out.writeInt32BE(Math.round(value * 65536), 4 * i));
  return out;
}

const type = (name: string) => Buffer.from(`${name}\0\0\0\0`, "latin1");

/** An XYZ tag. */
export function xyz(...values: [number, number, number]): Buffer {
  return Buffer.concat([type("XYZ "), fixed(...values)]);
}

/** A parametric curve; the number of parameters tells its kind. */
export function para(...parameters: number[]): Buffer {
  const kind = [1, 3, 4, 5, 7].indexOf(parameters.length);
  return Buffer.concat([type("para"), Buffer.from([0, kind, 0, 0]), fixed(...parameters)]);
}

/** A curve of 16-bit samples; of one, a power in units of 1/256. */
export function curv(...samples: number[]): Buffer {
  const out = Buffer.alloc(4 + 2 * samples.length);
  out.writeUInt32BE(samples.length, 0);
  samples.forEach((sample, i) => out.writeUInt16BE(sample, 4 + 2 * i));
  return Buffer.concat([type("curv"), out]);
}

/** A description, as version 2 stores it. */
export function described(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length + 1);
  return Buffer.concat([type("desc"), length, Buffer.from(`${text}\0`, "latin1")]);
}

/** A profile with these tags. */
export function profile(
  tags: Readonly<Record<string, Buffer>>,
  space = "RGB ",
  connection = "XYZ ",
): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(tags);
  const header = Buffer.alloc(132 + 12 * entries.length);
  header.write(space, 16, "latin1");
  header.write(connection, 20, "latin1");
  header.write("acsp", 36, "latin1");
  header.writeUInt32BE(entries.length, 128);
  let at = header.length;
  for (const [i, [name, data]] of entries.entries()) {
    header.write(name, 132 + 12 * i, "latin1");
    header.writeUInt32BE(at, 136 + 12 * i);
    header.writeUInt32BE(data.length, 140 + 12 * i);
    at += data.length;
  }
  const file = Buffer.concat([header, ...entries.map(([, data]) => data)]);
  file.writeUInt32BE(file.length, 0);
  return Uint8Array.from(file);
}

/** The curve of sRGB (IEC 61966-2-1) in parameters. */
export const SRGB_CURVE = para(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045);

/** An RGB profile of three colourants and one curve. */
export function matrixProfile(
  columns: readonly [number, number, number][],
  curve: Buffer,
  name = "made up",
): Uint8Array<ArrayBuffer> {
  const [r, g, b] = columns.map((column) => xyz(...column));
  const curves = { rTRC: curve, gTRC: curve, bTRC: curve };
  return profile({ desc: described(name), rXYZ: r!, gXYZ: g!, bXYZ: b!, ...curves });
}

/** The colourants of sRGB, adapted to D50. */
export const SRGB_COLUMNS: readonly [number, number, number][] = [
  [0.43607, 0.22249, 0.01392],
  [0.38515, 0.71687, 0.09708],
  [0.14307, 0.06061, 0.7141],
];

/** The colourants of Display P3, adapted to D50. */
export const P3_COLUMNS: readonly [number, number, number][] = [
  [0.51512, 0.2412, -0.00105],
  [0.29198, 0.69225, 0.04189],
  [0.1571, 0.06657, 0.78407],
];
