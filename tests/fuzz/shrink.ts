/**
 * Proposes smaller versions of an input, the smallest first: bytes and texts without a part, objects and lists without a
 * member or with a smaller one. Whatever else an input holds stays.
 */
export function* smaller(input: unknown): Generator<unknown> {
  if (input instanceof Uint8Array || typeof input === "string" || Array.isArray(input)) {
    yield* shorter(input);
  }
  if (typeof input === "number" && input !== 0) yield 0;
  if (Array.isArray(input) && input.length <= 100) {
    for (const [i, item] of input.entries()) {
      for (const less of smaller(item)) yield input.with(i, less);
    }
  }
  if (isPlain(input)) {
    const entries = Object.entries(input);
    for (const [i] of entries.entries()) yield Object.fromEntries(entries.toSpliced(i, 1));
    for (const [i, [key, value]] of entries.entries()) {
      for (const less of smaller(value)) yield Object.fromEntries(entries.with(i, [key, less]));
    }
  }
}

/** Leaves out a half, a quarter, … at every place. */
function* shorter<T extends Uint8Array | string | unknown[]>(input: T): Generator<T> {
  for (
    let size = Math.ceil(input.length / 2);
    size > 0;
    size = size > 1 ? Math.ceil(size / 4) : 0
  ) {
    for (let at = 0; at < input.length; at += size) {
      yield (typeof input === "string"
        ? input.slice(0, at) + input.slice(at + size)
        : input instanceof Uint8Array
        ? Uint8Array.from([...input.subarray(0, at), ...input.subarray(at + size)])
        : input.toSpliced(at, size)) as T;
    }
  }
}

function isPlain(input: unknown): input is Record<string, unknown> {
  return typeof input === "object" && input !== null &&
    [Object.prototype, null].includes(Object.getPrototypeOf(input));
}

/** Replaces an input by smaller ones that `fails` says yes to, until none is left or the time is up. */
export async function shrink(
  input: unknown,
  fails: (input: unknown) => Promise<boolean>,
  milliseconds: number,
): Promise<unknown> {
  const end = performance.now() + milliseconds;
  for (let best = input;;) {
    let found = false;
    for (const next of smaller(best)) {
      if (performance.now() > end) return best;
      if (!await fails(next)) continue;
      best = next;
      found = true;
      break;
    }
    if (!found) return best;
  }
}
