import { InputError, quote, type TensorFile } from "../../engine/mod.ts";
import { openTensorFile } from "../../model/checkpoint/files.ts";
import type { FeatureRows } from "../../model/text/text_rows.ts";

async function withFile<T>(path: string, use: (file: TensorFile) => Promise<T>): Promise<T> {
  const file = await openTensorFile(path);
  try {
    return await use(file);
  } finally {
    file.close();
  }
}

function refuse(path: string, why: string): never {
  throw new InputError("bad-file", `Cannot use ${quote(path)}: ${why}`);
}

/** Reads `features` [ΣT, C] and `lens` [B], the number of rows of each text; one text if `lens` is absent. */
export function readFeatures(path: string): Promise<FeatureRows> {
  return withFile(path, async (file) => {
    const { shape } = file.get("features");
    const [rows, width] = shape;
    if (shape.length !== 2 || !rows || !width) {
      refuse(path, `features is [${shape.join(", ")}], not [rows, channels]`);
    }
    const lens = file.tensors.has("lens") ? Array.from(await file.readFloat32("lens")) : [rows];
    if (lens.reduce((sum, n) => sum + n, 0) !== rows) {
      refuse(path, `lens is [${lens.join(", ")}], but features has ${rows} rows`);
    }
    return { features: await file.readFloat32("features"), width, lens };
  });
}

/** Values [B, h, w, d] of scales, read from a file. */
export interface Scales<T> {
  /** The file. */
  readonly path: string;
  /** By scale; undefined for a scale that the file lacks. */
  readonly values: readonly (T | undefined)[];
  /** Their shapes. */
  readonly shapes: readonly (readonly number[] | undefined)[];
}

/**
 * Checks that values fit what will be sampled. Scales beyond the schedule are not checked: the model refuses them.
 *
 * @throws {InputError} `bad-file`: A shape differs.
 */
export function checkScales(
  { path, shapes }: Scales<unknown>,
  schedule: readonly (readonly [height: number, width: number])[],
  images: number,
  bits: number,
): void {
  for (const [s, [height, width]] of schedule.entries()) {
    const expected = [images, height, width, bits].join(", ");
    const actual = shapes[s]?.join(", ") ?? expected;
    if (actual !== expected) refuse(path, `scale ${s} is [${actual}], not [${expected}]`);
  }
}

/** Reads `scale{i}.{kind}` [B, h, w, d] of the scales that are there. */
async function readScales<T>(
  path: string,
  kind: string,
  read: (file: TensorFile, name: string) => Promise<T>,
): Promise<Scales<T>> {
  return await withFile(path, async (file) => {
    const values: (T | undefined)[] = [];
    const shapes: (readonly number[] | undefined)[] = [];
    for (const { name, shape } of file.tensors.values()) {
      const [, index, rest] = /^scale(\d{1,3})\.(.*)$/.exec(name) ?? [];
      if (rest !== kind) continue;
      if (shape.length !== 4) {
        refuse(path, `${name} is [${shape.join(", ")}], not [batch, height, width, bits]`);
      }
      values[Number(index)] = await read(file, name);
      shapes[Number(index)] = shape;
    }
    if (values.length === 0) refuse(path, `it has no scale0.${kind}, scale1.${kind}, …`);
    return { path, values: Array.from(values), shapes: Array.from(shapes) };
  });
}

/** Reads `scale{i}.uniforms`. */
export function readUniforms(path: string): Promise<Scales<Float32Array>> {
  return readScales(path, "uniforms", async (file, name) => {
    const values = await file.readFloat32(name);
    const bad = values.find((value) => !(value >= 0 && value <= 1));
    if (bad !== undefined) refuse(path, `${name} holds ${bad}, uniforms are from 0 to 1`);
    return values;
  });
}

/** Reads `scale{i}.bits`. */
export function readBits(path: string): Promise<Scales<Uint8Array>> {
  return readScales(path, "bits", async (file, name) => {
    const values = await file.readFloat32(name);
    const bad = values.find((value) => value !== 0 && value !== 1);
    if (bad !== undefined) refuse(path, `${name} holds ${bad}, bits are 0 or 1`);
    return Uint8Array.from(values);
  });
}
