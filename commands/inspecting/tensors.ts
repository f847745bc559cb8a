import { bitsInspection } from "./bits.ts";
import { countText, type Inspection } from "./inspection.ts";
import {
  dtypeBytes,
  formatBytes,
  isDtype,
  printable,
  quote,
  type TensorFile,
} from "../../engine/mod.ts";
import { holdsBits, readBits } from "../../model/bits/bits_file.ts";
import { scalesOf, storedBlocks } from "../../model/checkpoint/quantised_blocks.ts";

/** The widest column of names: one long name must not make all lines as long. */
const COLUMN = 120;

/** What is in a safetensors file. */
export interface FileReport {
  readonly file: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly dtypes: Readonly<Record<string, { tensors: number; parameters: number }>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly { name: string; dtype: string; shape: readonly number[] }[];
}

/** Inspects a safetensors file, and closes it. */
export async function inspectTensors(path: string, file: TensorFile): Promise<Inspection> {
  try {
    if (holdsBits(file)) {
      return await bitsInspection(await readBits(file), reportOf(file).bytes, path);
    }
    const report = reportOf(file);
    return { lines: describe(report), report };
  } finally {
    file.close();
  }
}

/** Counts the tensors and parameters of a file. */
export function reportOf(file: TensorFile): FileReport {
  const dtypes: Record<string, { tensors: number; parameters: number }> = {};
  let bytes = 0;
  let parameters = 0;
  const tensors: { name: string; dtype: string; shape: readonly number[] }[] = [];
  // a weight in blocks and its scales are one
  const scales = new Set<string>();
  for (const name of file.tensors.keys()) {
    if (storedBlocks(file.tensors, name)?.scales) scales.add(scalesOf(name));
  }
  for (const { name, byteLength, ...info } of file.tensors.values()) {
    bytes += byteLength;
    if (scales.has(name)) continue;
    const blocks = scales.has(scalesOf(name)) ? storedBlocks(file.tensors, name) : null;
    const dtype = blocks?.type ?? info.dtype;
    const shape = blocks?.shape ?? info.shape;
    const elements = shape.reduce((product, size) => product * size, 1);
    tensors.push({ name, dtype, shape });
    const of = dtypes[dtype] ??= { tensors: 0, parameters: 0 };
    of.tensors++;
    of.parameters += elements;
    parameters += elements;
  }
  return { file: file.name, bytes, parameters, dtypes, metadata: file.metadata, tensors };
}

/** Describes a file: a line of sums, its metadata, and a line per tensor. */
export function describe(
  { file, bytes, parameters, dtypes, metadata, tensors }: FileReport,
): string[] {
  const kinds = Object.entries(dtypes)
    .sort(([a], [b]) => width(b) - width(a))
    .map(([dtype, of]) => `${of.tensors} ${dtype}`);
  const column = tensors.reduce((most, { name }) => Math.max(most, name.length), 0);
  return [
    `${file}: ${tensors.length} tensors (${kinds.join(", ")}), ${
      countText(parameters)
    } parameters, ` +
    formatBytes(bytes),
    ...Object.entries(metadata).map(([key, value]) => `  ${printable(key)} = ${quote(value)}`),
    ...tensors.map(({ name, dtype, shape }) =>
      `  ${printable(name).padEnd(Math.min(column, COLUMN))}  ${dtype.padEnd(4)}  [${
        shape.join(", ")
      }]`
    ),
  ];
}

/** Returns the bytes of a number, to sort by. */
function width(dtype: string): number {
  return isDtype(dtype) ? dtypeBytes(dtype) : 0.5;
}
