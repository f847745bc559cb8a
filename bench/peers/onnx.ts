/**
 * Writes ONNX models: those messages of onnx.proto that a model of one operation needs, in the wire format of protobuf.
 *
 * @module
 */

type Bytes = Uint8Array<ArrayBuffer>;

/** A node of a graph. An attribute is a float, an integer, a text, or several integers. */
export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<
    Record<
      string,
      { f: number } | { i: number } | { s: string } | {
        ints: readonly number[];
      }
    >
  >;
  /** The domain of the operation; ONNX's own if absent. */
  readonly domain?: string;
}

/** A graph of f32 tensors. */
export interface Graph {
  readonly nodes: readonly Node[];
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** Constants, f32 or i64. */
  readonly constants: Readonly<
    Record<string, {
      readonly shape: readonly number[];
      readonly data: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
    }>
  >;
}

function join(parts: readonly Bytes[]): Bytes {
  const joined = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) {
    bytes.push(value % 128 + 128);
  }
  return [...bytes, value];
}

/** A field: an integer, or bytes, text or a message with a length prefix. */
function field(number: number, value: number | string | Bytes): Bytes {
  if (typeof value === "number") {
    return Uint8Array.from([...varint(number * 8), ...varint(value)]);
  }
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return join([
    Uint8Array.from([...varint(number * 8 + 2), ...varint(bytes.length)]),
    bytes,
  ]);
}

function float(number: number, value: number): Bytes {
  return join([
    Uint8Array.from(varint(number * 8 + 5)),
    new Uint8Array(Float32Array.of(value).buffer),
  ]);
}

function attribute(
  name: string,
  value: NonNullable<Node["attributes"]>[string],
): Bytes {
  const typed = "f" in value
    ? [float(2, value.f), field(20, 1)]
    : "i" in value
    ? [field(3, value.i), field(20, 2)]
    : "s" in value
    ? [field(4, value.s), field(20, 3)]
    : [...value.ints.map((n) => field(8, n)), field(20, 7)];
  return join([field(1, name), ...typed]);
}

function node(
  { op, inputs, outputs, attributes = {}, domain = "" }: Node,
): Bytes {
  return join([
    ...inputs.map((name) => field(1, name)),
    ...outputs.map((name) => field(2, name)),
    field(4, op),
    ...Object.entries(attributes).map(([name, value]) => field(5, attribute(name, value))),
    field(7, domain),
  ]);
}

function valueInfo([name, shape]: [string, readonly number[]]): Bytes {
  const dimensions = join(shape.map((size) => field(1, field(1, size))));
  return join([
    field(1, name),
    field(2, field(1, join([field(1, 1), field(2, dimensions)]))),
  ]);
}

/** Encodes a model. Opset 20, and version 1 of onnxruntime's own operations. */
export function encodeModel(
  { nodes, inputs, outputs, constants }: Graph,
): Bytes {
  const initialisers = Object.entries(constants).map((
    [name, { shape, data }],
  ) =>
    join([
      ...shape.map((size) => field(1, size)),
      field(2, data instanceof Float32Array ? 1 : 7),
      field(8, name),
      field(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    ])
  );
  const graph = join([
    ...nodes.map((each) => field(1, node(each))),
    field(2, "case"),
    ...initialisers.map((bytes) => field(5, bytes)),
    ...Object.entries(inputs).map((entry) => field(11, valueInfo(entry))),
    ...Object.entries(outputs).map((entry) => field(12, valueInfo(entry))),
  ]);
  const opset = (domain: string, version: number) =>
    field(8, join([field(1, domain), field(2, version)]));
  return join([
    field(1, 10),
    opset("", 20),
    opset("com.microsoft", 1),
    field(7, graph),
  ]);
}
