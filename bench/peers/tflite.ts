/**
 * Writes TensorFlow Lite models: those tables of TensorFlow's schema.fbs that a model of a few operations needs.
 *
 * @module
 */

import { load } from "./engine.ts";

/** The part of the flatbuffers package that is used here. */
interface Builder {
  startObject(fields: number): void;
  addFieldInt8(slot: number, value: number, byDefault: number): void;
  addFieldInt32(slot: number, value: number, byDefault: number): void;
  addFieldFloat32(slot: number, value: number, byDefault: number): void;
  addFieldOffset(slot: number, value: number, byDefault: number): void;
  endObject(): number;
  startVector(elementBytes: number, count: number, alignment: number): void;
  addInt32(value: number): void;
  addOffset(value: number): void;
  endVector(): number;
  createString(text: string): number;
  createByteVector(bytes: Uint8Array): number;
  prep(alignment: number, bytes: number): void;
  finish(root: number, identifier: string): void;
  asUint8Array(): Uint8Array<ArrayBuffer>;
}

/** The code of an operation, the type of its options, and their values by slot. */
interface Operation {
  readonly code: number;
  readonly options: number;
  readonly bytes?: Readonly<Record<number, number>>;
  readonly ints?: Readonly<Record<number, number>>;
  readonly floats?: Readonly<Record<number, number>>;
}

const OPERATIONS = {
  add: { code: 0, options: 11 },
  batchMatmul: { code: 126, options: 101 },
  batchMatmulTransposed: { code: 126, options: 101, bytes: { 1: 1 } },
  conv2d: { code: 3, options: 1, ints: { 1: 1, 2: 1, 4: 1, 5: 1 } },
  fullyConnected: { code: 9, options: 8, bytes: { 2: 1 } },
  gelu: { code: 150, options: 116, bytes: { 0: 1 } },
  logistic: { code: 14, options: 0 },
  mean: { code: 40, options: 27, bytes: { 0: 1 } },
  mul: { code: 18, options: 21 },
  resizeBilinear: { code: 23, options: 15, bytes: { 3: 1 } },
  rsqrt: { code: 76, options: 0 },
  softmax: { code: 25, options: 9, floats: { 0: 1 } },
  sub: { code: 41, options: 28 },
} as const satisfies Record<string, Operation>;

/** One operation: reads tensors and makes one. */
export interface Step {
  readonly op: keyof typeof OPERATIONS;
  readonly inputs: readonly string[];
  readonly output: string;
}

/** A graph. Tensors without data are inputs, or results of steps. */
export interface TfliteGraph {
  readonly tensors: Readonly<
    Record<string, {
      readonly shape: readonly number[];
      readonly data?: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
    }>
  >;
  readonly steps: readonly Step[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Encodes a model. */
export async function encodeTflite(graph: TfliteGraph): Promise<Uint8Array<ArrayBuffer>> {
  const { Builder } = await load<{ Builder: new (bytes: number) => Builder }>("flatbuffers");
  const b = new Builder(1 << 20);
  const ints = (values: readonly number[]) => {
    b.startVector(4, values.length, 4);
    for (const value of values.toReversed()) b.addInt32(value);
    return b.endVector();
  };
  const offsets = (values: readonly number[]) => {
    b.startVector(4, values.length, 4);
    for (const value of values.toReversed()) b.addOffset(value);
    return b.endVector();
  };
  const names = Object.keys(graph.tensors);
  const indices = (list: readonly string[]) => ints(list.map((name) => names.indexOf(name)));

  const empty = { shape: [], data: undefined }; // buffer 0 belongs to tensors without data
  const buffers = [empty, ...Object.values(graph.tensors)].map(({ data }) => {
    let bytes = 0;
    if (data) {
      b.prep(16, data.byteLength + 4);
      bytes = b.createByteVector(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    b.startObject(1);
    if (bytes) b.addFieldOffset(0, bytes, 0);
    return b.endObject();
  });
  const tensors = Object.entries(graph.tensors).map(([name, { shape, data }], i) => {
    const [dimensions, text] = [ints(shape), b.createString(name)];
    b.startObject(4);
    b.addFieldOffset(0, dimensions, 0);
    b.addFieldInt8(1, data instanceof Int32Array ? 2 : 0, 0);
    b.addFieldInt32(2, data ? i + 1 : 0, 0);
    b.addFieldOffset(3, text, 0);
    return b.endObject();
  });
  const codes: number[] = [...new Set(graph.steps.map(({ op }) => OPERATIONS[op].code))];
  const operators = graph.steps.map(({ op, inputs, output }) => {
    const { code, options, ...values }: Operation = OPERATIONS[op];
    const [from, to] = [indices(inputs), indices([output])];
    b.startObject(8);
    for (const [at, value] of Object.entries(values.ints ?? {})) b.addFieldInt32(+at, value, 0);
    for (const [at, value] of Object.entries(values.floats ?? {})) b.addFieldFloat32(+at, value, 0);
    for (const [at, value] of Object.entries(values.bytes ?? {})) b.addFieldInt8(+at, value, 0);
    const table = b.endObject();
    b.startObject(5);
    b.addFieldInt32(0, codes.indexOf(code), 0);
    b.addFieldOffset(1, from, 0);
    b.addFieldOffset(2, to, 0);
    if (options) {
      b.addFieldInt8(3, options, 0);
      b.addFieldOffset(4, table, 0);
    }
    return b.endObject();
  });
  const lists = [
    offsets(tensors),
    indices(graph.inputs),
    indices(graph.outputs),
    offsets(operators),
  ];
  b.startObject(5);
  lists.forEach((list, slot) => b.addFieldOffset(slot, list, 0));
  const subgraphs = offsets([b.endObject()]);
  const operatorCodes = offsets(codes.map((code) => {
    b.startObject(4);
    b.addFieldInt8(0, Math.min(code, 127), 0);
    b.addFieldInt32(2, 1, 1);
    b.addFieldInt32(3, code, 0);
    return b.endObject();
  }));
  const allBuffers = offsets(buffers);
  b.startObject(5);
  b.addFieldInt32(0, 3, 0);
  b.addFieldOffset(1, operatorCodes, 0);
  b.addFieldOffset(2, subgraphs, 0);
  b.addFieldOffset(4, allBuffers, 0);
  b.finish(b.endObject(), "TFL3");
  return b.asUint8Array().slice();
}
