/**
 * Unrolled loops of preludes: arrays stay in registers only under constant indices.
 *
 * @module
 */

/** Returns the whole numbers from 0 to `count` − 1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Returns the WGSL of each turn of a loop. */
export function repeat(
  count: number,
  line: (i: number) => string,
  separator: string = "\n",
): string {
  return range(count).map((i) => line(i)).join(separator);
}
