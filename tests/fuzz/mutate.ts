// Changes to bytes, texts and trees that break what readers take for granted.
import type { Random } from "./random.ts";

/** Sizes around which counters, types and limits break. */
const EDGES = [
  ...[0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000],
  ...[2 ** 15, 2 ** 16, 2 ** 20, 2 ** 24, 2 ** 28, 2 ** 30, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53],
];

/** A whole number near an edge. */
export function edge(random: Random): number {
  return random.pick(EDGES) + random.below(3) - 1;
}

/** A number that a field may not expect. */
export function number(random: Random): number {
  if (random.chance(0.3)) return random.below(20);
  const odd = [-1, -0, 0.5, -0.5, 1e-7, 1e9, 1e21, 1e308, 5e-324, 0.1 + 0.2, -(2 ** 31), NaN];
  return random.chance(0.4) ? random.pick([...odd, Infinity, -Infinity]) : edge(random);
}

/** Texts that terminals, paths, regular expressions, formats or JavaScript take for something else. */
export const TEXTS: readonly string[] = [
  ...["", " ", "\0", "\n", "\r\n", "\t", "\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\x7f", "\u2028"],
  ...["\u202e", "\ufeff", "\ufffd", "\ud800", "\udc00", "\u0301", "\u00a0", "\u200d", "\u2581"],
  ...["猫", "🐱", "👩‍👩‍👧", "é", "e\u0301", "ﬁ", "İ", "ß", "\u1e9b\u0323", "\u{e0001}", "Ａ"],
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "length", "then"],
  ...["..", "../x", "/etc/passwd", "a/b", "a\\b", "C:x", "x\0y", ".", "/", "~", "$HOME", "%2e%2e"],
  ...["null", "true", "NaN", "Infinity", "-1", "0x10", "1e9", "1,2", "1x2", "007", "𝟙", "1_000"],
  ...["-", "--", "---", "=", "@", "@@", "-1", ":", ",", ";", '"', "'", "`", "${x}", "%s", "<x>"],
  ...["</s>", "<pad>", "(x:1.4)", "<lora:a:1>", "[[", "]]", "(((", "\\", "http://", "file:///%ff"],
];

/** A text that a field may not expect. */
export function text(random: Random): string {
  if (random.chance(0.6)) return random.pick(TEXTS);
  if (random.chance(0.1)) return random.pick(TEXTS).repeat(1 + random.below(3000, true));
  return random.list(1, 6, () => random.pick(TEXTS)).join(random.pick(["", " ", "a"]));
}

/** Changes a text here and there. */
export function mutateText(random: Random, from: string, words: readonly string[] = []): string {
  let out = from;
  for (let times = 1 + random.below(4, true); times > 0; times--) {
    const at = random.below(out.length + 1);
    const to = at + random.below(Math.min(30, out.length - at) + 1, true);
    const [before, between, after] = [out.slice(0, at), out.slice(at, to), out.slice(to)];
    const word = words.length && random.chance(0.5) ? random.pick(words) : text(random);
    out = random.pick([
      () => before + after,
      () => before + word + between + after,
      () => before + word + after,
      () => before + between + between + after,
      () => before + between.repeat(1 + random.below(50, true)) + after,
      () => before + String.fromCharCode(random.below(0x10000)) + after,
      () => before + `${number(random)}` + after,
      () => before,
    ])();
  }
  return out.slice(0, 200_000);
}

/** Changes bytes here and there. */
export function mutateBytes(
  random: Random,
  from: Uint8Array,
  words: readonly Uint8Array[] = [],
): Uint8Array<ArrayBuffer> {
  let out = new Uint8Array(from);
  for (let times = 1 + random.below(5, true); times > 0; times--) {
    const at = random.below(out.length + 1);
    const to = at + random.below(Math.min(64, out.length - at) + 1, true);
    out = random.pick([
      () => setByte(out, at, (out[at] ?? 0) ^ 1 << random.below(8)),
      () => setByte(out, at, random.below(256)),
      () => setNumber(random, out, at),
      () => setNumber(random, out, at),
      () => joined(out.subarray(0, at), out.subarray(to)),
      () => joined(out.subarray(0, at), random.bytes(1 + random.below(16, true)), out.subarray(at)),
      () => joined(out.subarray(0, to), out.subarray(at, to), out.subarray(to)),
      () => words.length ? joined(out.subarray(0, at), random.pick(words), out.subarray(to)) : out,
      () => random.chance(0.3) ? out.slice(0, at) : out,
    ])();
  }
  return out;
}

/** Puts arrays one after another. */
export function joined(...parts: readonly ArrayLike<number>[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (out.set(part, at), at + part.length), 0);
  return out;
}

function setByte(bytes: Uint8Array<ArrayBuffer>, at: number, value: number) {
  bytes[at] = value;
  return bytes;
}

/** Writes an edge as a number of 2, 4 or 8 bytes, in either order. */
function setNumber(random: Random, bytes: Uint8Array<ArrayBuffer>, at: number) {
  const view = new DataView(bytes.buffer);
  const size = random.pick([2, 4, 8]);
  if (at + size > bytes.length) return bytes;
  const [value, little] = [BigInt(edge(random)), random.chance(0.5)];
  if (size === 2) view.setUint16(at, Number(value & 0xffffn), little);
  else if (size === 4) view.setUint32(at, Number(value & 0xffffffffn), little);
  else view.setBigUint64(at, value & 0xffffffffffffffffn, little);
  return bytes;
}

/** Any value of JSON that a field may not expect. */
export function json(random: Random, depth = 2): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => random.chance(0.5),
    () => finite(random),
    () => finite(random),
    () => text(random),
    () => text(random),
    () => depth > 0 ? random.list(0, 4, () => json(random, depth - 1)) : [],
    () =>
      depth > 0 ? objectOf(random.list(0, 3, () => [text(random), json(random, depth - 1)])) : {},
    () => random.chance(0.1) ? nested(random) : [[]],
    () => random.chance(0.1) ? Array(random.pick([1000, 20_000])).fill(finite(random)) : {},
  ])();
}

/** An object of these keys, `__proto__` included. */
export function objectOf(entries: readonly (readonly [string, unknown])[]): object {
  return Object.fromEntries(entries);
}

function finite(random: Random): number {
  const value = number(random);
  return Number.isFinite(value) ? value : 1e300;
}

/** Lists or objects in each other. */
function nested(random: Random): unknown {
  const list = random.chance(0.5);
  let out: unknown = list ? [] : {};
  for (let i = random.pick([10, 100, 1000]); i > 0; i--) out = list ? [out] : { a: out };
  return out;
}

/** A place in a tree: a container and a key in it. */
interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
}

/** Copies a JSON value, and changes it here and there. `values` may offer values of its own by key. */
export function mutateTree(
  random: Random,
  from: unknown,
  values: (random: Random, key: string) => unknown = () => undefined,
): unknown {
  const root = { root: structuredClone(from) };
  for (let times = 1 + random.below(3, true); times > 0; times--) {
    const places = placesOf(root);
    const { holder, key } = random.pick(places);
    const old = (holder as Record<string, unknown>)[key];
    const put = (value: unknown) =>
      Object.defineProperty(holder, key, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    random.pick<() => void>([
      () => put(values(random, key) ?? json(random)),
      () => put(values(random, key) ?? json(random)),
      () => put(similar(random, old)),
      () => put(similar(random, old)),
      () => put(structuredClone(at(random.pick(places)))),
      () => put([old]),
      () => holder === root ? put({}) : remove(holder, key),
      () => add(random, holder === root ? old : holder),
    ])();
  }
  return root.root;
}

function at({ holder, key }: Place): unknown {
  return (holder as Record<string, unknown>)[key];
}

/** Every place of a tree; of long lists only a few. */
function placesOf(holder: Place["holder"], depth = 0): Place[] {
  const keys = Object.keys(holder);
  const some = keys.length > 40 ? [...keys.slice(0, 20), ...keys.slice(-10)] : keys;
  return some.flatMap((key) => {
    const inner = at({ holder, key });
    const isHolder = typeof inner === "object" && inner !== null && depth < 12;
    return [{ holder, key }, ...isHolder ? placesOf(inner as Place["holder"], depth + 1) : []];
  });
}

/** Another value of the same type. */
function similar(random: Random, value: unknown): unknown {
  if (typeof value === "string") return mutateText(random, value);
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") {
    return random.chance(0.5) ? finite(random) : value + random.pick([-1, 1, 0.5, value, -value]);
  }
  if (Array.isArray(value)) {
    const at = random.below(value.length + 1);
    return random.pick<() => unknown>([
      () => value.toReversed(),
      () => value.slice(0, at),
      () => [...value.slice(0, at), ...value.slice(at - 1)],
      () => value.concat(value),
    ])();
  }
  return json(random);
}

function remove(holder: Place["holder"], key: string): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

function add(random: Random, holder: unknown): void {
  if (Array.isArray(holder)) holder.splice(random.below(holder.length + 1), 0, json(random));
  else if (typeof holder === "object" && holder !== null) {
    Object.defineProperty(holder, text(random), {
      value: json(random),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}
