/**
 * Reads strided views of a storage (transposed, expanded, cut out) in the order of their
 * elements, in bounded pieces.
 *
 * @module
 */

import { type ByteSource, readExactly } from "../../engine/mod.ts";

/** The most that one read takes, in bytes. */
const PIECE_BYTES = 2 ** 25;

/** A dimension of a view. */
interface Dim {
  readonly count: number;
  /** Elements of the storage from one index to the next. */
  readonly stride: number;
  /** Elements of the output from one index to the next. */
  readonly step: number;
}

/** A view of numbers that lie in a source one after the other. */
export interface View {
  /** Where they are. */
  readonly source: ByteSource;
  /** The byte of the view's first element. */
  readonly start: number;
  /** Bytes of an element: 1, 2, 4 or 8. */
  readonly itemBytes: number;
  /** Sizes of the dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Elements from one index of a dimension to the next. */
  readonly strides: readonly number[];
}

/** Merges dimensions that lie one after the other, and drops those of one index. */
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

/** Elements of the storage between the first and the last of a box, both included. */
function spanOf(dims: readonly Dim[]): number {
  return dims.reduce((span, { count, stride }) => span + (count - 1) * stride, 1);
}

/**
 * The elements that a view needs of its storage, from its first one on.
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
 * @param maxBytes The most that one read takes.
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
  /** Its first element in the storage. */
  readonly position: number;
  readonly box: readonly Dim[];
}

/** Cuts a range of elements into boxes, in their order. */
function* boxes(dims: readonly Dim[], from: number, to: number, position = 0): Generator<Box> {
  const [{ stride, step }, ...inner] = dims as [Dim, ...Dim[]];
  // rows of the inner dimensions: a part of one, whole ones, a part of one
  const first = Math.floor(from / step);
  const last = Math.floor(to / step);
  const [head, tail] = [from - first * step, to - last * step];
  if (first === last) return yield* boxes(inner, head, tail, position + first * stride);
  if (head > 0) yield* boxes(inner, head, step, position + first * stride);
  const whole = head > 0 ? first + 1 : first;
  if (last > whole) {
    const box = [{ count: last - whole, stride, step }, ...inner];
    yield { position: position + whole * stride, box };
  }
  if (tail > 0) yield* boxes(inner, 0, tail, position + last * stride);
}

interface Piece extends Box {
  /** Its first element in the output of the box. */
  readonly out: number;
}

/** Cuts a box along its longest strides until each piece spans few enough elements. */
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

/** Whole elements, so that no bit of a NaN is lost. */
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
