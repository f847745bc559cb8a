import { CheckpointError, type Device, quote } from "../../../engine/mod.ts";
import { philox } from "../../bits/philox.ts";
import type { Parameters } from "../tape/parameters.ts";
import type { PerPart, Rule, Rules } from "./rules.ts";

/**
 * Gives all parameters the values to begin with. A value depends on the seed, the name of its parameter and its place
 * there, and on nothing else: it is the same on all machines, and for whatever else is trained.
 *
 * @param seed From 0 to 2⁶⁴ − 1.
 * @throws {CheckpointError} `no-rule`: no rule is for one of them. Then nothing was changed.
 */
export function initialise(
  device: Device,
  parameters: Parameters,
  rules: Rules,
  seed: bigint,
): void {
  const drawn = parameters.specs.map(({ name, shape }) => {
    const rule = rules.find(([pattern]) => pattern.test(name))?.[1];
    if (!rule) {
      const message = `Cannot begin with ${quote(name)}: no rule gives its values; add one`;
      throw new CheckpointError("no-rule", message);
    }
    const sibling = (ending: string) => parameters.get(name.replace(/[^.]*$/, ending)).value.shape;
    return { name, shape, rule: typeof rule === "function" ? rule({ shape, sibling }) : rule };
  });
  for (const { name, shape, rule } of drawn) {
    device.upload(parameters.get(name).value, draw({ shape, rule, name, seed }));
  }
}

/** A parameter, and how its values are drawn. */
interface Drawing {
  readonly name: string;
  readonly shape: readonly number[];
  readonly rule: Rule;
  readonly seed: bigint;
}

/** Draws the values of a parameter. */
function draw({ shape, rule, name, seed }: Drawing): Float32Array<ArrayBuffer> {
  const count = shape.reduce((product, n) => product * n, 1);
  const values = new Float32Array(count);
  if (rule.kind === "constant") return values.fill(rule.value);
  const stream = hash(name);
  const fill = rule.kind === "uniform" ? uniforms : normals;
  const four = new Float64Array(4), again = new Float64Array(4);
  const { deviation, mean = 0, most = Infinity } = rule.kind === "normal"
    ? rule
    : { deviation: rule.bound };
  for (let i = 0; i < count; i++) {
    if (i % 4 === 0) fill(four, philox([i / 4, 0, stream, 0], seed));
    const scale = ofPart(deviation, i / count);
    let value = scale * four[i % 4]!;
    for (let attempt = 1; Math.abs(value) > most; attempt++) {
      fill(again, philox([Math.floor(i / 4), attempt, stream, 0], seed));
      value = scale * again[i % 4]!;
    }
    values[i] = ofPart(mean, i / count) + value;
  }
  return values;
}

/** The number of the part that a place, from 0 to 1, is in. */
function ofPart(numbers: PerPart, place: number): number {
  return typeof numbers === "number" ? numbers : numbers[Math.floor(place * numbers.length)]!;
}

/** The high 24 bits of a word as a number in [0, 1). */
function unit(word: number): number {
  return (word >>> 8) / 2 ** 24;
}

type Words = readonly [number, number, number, number];

/** Four numbers in [−1, 1). */
function uniforms(into: Float64Array, words: Words): void {
  for (let k = 0; k < 4; k++) into[k] = 2 * unit(words[k]!) - 1;
}

/** Four independent normal numbers, by the Box–Muller transform. */
function normals(into: Float64Array, words: Words): void {
  for (let k = 0; k < 4; k += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - unit(words[k]!)));
    const angle = 2 * Math.PI * unit(words[k + 1]!);
    into[k] = radius * Math.cos(angle);
    into[k + 1] = radius * Math.sin(angle);
  }
}

/** FNV-1a: a word that tells names apart. */
function hash(name: string): number {
  let word = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) {
    word = Math.imul(word ^ byte, 0x01000193);
  }
  return word >>> 0;
}
