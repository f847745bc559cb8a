/**
 * Reads strided views of a storage (transposed, expanded or sliced) in the order of their elements,
 * in bounded pieces.
 *
 * @module
 */

import { type ByteSource, readExactly } from "../../../engine/mod.ts";

/** The most bytes per read. */
const PIECE_BYTES = 2 ** 25;

/** A dimension of a view. */
interface Dim {
  readonly count: number;
  /** Distance in the storage between neighbouring indices, in elements. */
  readonly stride: number;
  /** Distance in the output between neighbouring indices, in elements. */
  readonly step: number;
}

/** A view of numbers that are contiguous in a source. */
export interface View {
  /** The source of the numbers. */
  readonly source: ByteSource;
  /** Offset of the view's first element, in bytes. */
  readonly start: number;
  /** Bytes of an element: 1, 2, 4 or 8. */
  readonly itemBytes: number;
  /** Sizes of the dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Distance in elements between neighbouring indices, per dimension. */
  readonly strides: readonly number[];
}

/** Merges contiguous dimensions, and drops those of size 1. */
function merge({ shape, strides }: View): Dim[] {
  const dims: Dim[] = [];
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const [count, stride] = [shape[i]!, strides[i]!];
    const inner = dims[0];
    if (inner && stride === inner.stride * inner.count) {
      dims[0] = { ...inner, count: inner.count * count };
    } else if (count !== 1) dims.unshift({ count, stride, step });
    step *= count;
  }
  return dims;
}

/** Counts the elements of the storage from the first to the last of a box, both included. */
function spanOf(dims: readonly Dim[]): number {
  return dims.reduce((span, { count, stride }) => span + (count - 1) * stride, 1);
}

/**
 * Counts the elements of the storage that a view spans, from its first one.
 *
 * @returns 0 if the view is empty.
 */
export function viewSpan(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return spanOf(shape.map((count, i) => ({ count, stride: strides[i]!, step: 0 })));
}

/**
 * Reads the bytes of elements `from` to `to` of a view.
 *
 * @param maxBytes The most bytes per read.
 */
export async function readStrided(
  view: View,
  from: number,
  to: number,
  maxBytes = PIECE_BYTES,
): Promise<Uint8Array<ArrayBuffer>> {
  const { source, start, itemBytes } = view;
  const dims = merge(view);
  if (to <= from) return new Uint8Array();
  if (dims.length === 0) return await readExactly(source, start, itemBytes);
  if (dims.length === 1 && dims[0]!.stride === 1) {
    return await readExactly(source, start + from * itemBytes, (to - from) * itemBytes);
  }
  const out = new Uint8Array((to - from) * itemBytes);
  let filled = 0;
  for (const { position, box } of boxes(dims, from, to)) {
    for (const piece of pieces(box, position, maxBytes / itemBytes)) {
      const span = spanOf(piece.box);
      const bytes = await readExactly(source, start + piece.position * itemBytes, span * itemBytes);
      gather(words(bytes, itemBytes), words(out, itemBytes), piece.box, 0, filled + piece.out);
    }
    filled += box.reduce((product, { count }) => product * count, 1);
  }
  return out;
}

interface Box {
  /** Offset of its first element in the storage. */
  readonly position: number;
  readonly box: readonly Dim[];
}

/** Cuts a range of elements into boxes, in order. */
function* boxes(dims: readonly Dim[], from: number, to: number, position = 0): Generator<Box> {
  const [{ stride, step }, ...inner] = dims as [Dim, ...Dim[]];
  // rows of the inner dimensions: the end of one, complete ones, the beginning of one
  const first = Math.floor(from / step);
  const last = Math.floor(to / step);
  const [head, tail] = [from - first * step, to - last * step];
  if (first === last) return yield* boxes(inner, head, tail, position + first * stride);
  if (head > 0) yield* boxes(inner, head, step, position + first * stride);
  const firstRow = head > 0 ? first + 1 : first;
  if (last > firstRow) {
    const box = [{ count: last - firstRow, stride, step }, ...inner];
    yield { position: position + firstRow * stride, box };
  }
  if (tail > 0) yield* boxes(inner, 0, tail, position + last * stride);
}

interface Piece extends Box {
  /** Offset of its first element in the output of the box. */
  readonly out: number;
}

/** Cuts a box along its longest strides until every piece spans few enough elements. */
function* pieces(box: readonly Dim[], position: number, limit: number, out = 0): Generator<Piece> {
  if (spanOf(box) <= limit) return yield { position, box, out };
  const longest = Math.max(...box.map(({ stride }) => stride));
  const dim = box.find(({ stride }) => stride === longest)!;
  const others = box.filter((other) => other !== dim);
  const count = Math.max(1, 1 + Math.floor((limit - spanOf(others)) / dim.stride));
  for (let i = 0; i < dim.count; i += count) {
    const cut = { ...dim, count: Math.min(count, dim.count - i) };
    const part = cut.count > 1 ? [cut, ...others] : others;
    yield* pieces(part, position + i * dim.stride, limit, out + i * dim.step);
  }
}

type Words = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** Copies elements as integers, so that the bits of NaNs survive. */
function words(bytes: Uint8Array<ArrayBuffer>, itemBytes: number): Words {
  const kind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[itemBytes]!;
  return new kind(bytes.buffer, bytes.byteOffset, bytes.length / itemBytes);
}

function gather(from: Words, to: Words, box: readonly Dim[], at: number, out: number): void {
  const [dim, ...inner] = box;
  if (!dim) return void (to[out] = from[at]!);
  const { count, stride, step } = dim;
  if (inner.length > 0) {
    for (let i = 0; i < count; i++) gather(from, to, inner, at + i * stride, out + i * step);
  } else {
    for (let i = 0; i < count; i++) to[out + i * step] = from[at + i * stride]!;
  }
}
