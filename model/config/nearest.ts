/**
 * Finds the word that a mistyped one was meant to be.
 *
 * @example
 * ```ts
 * import { nearest } from "./nearest.ts";
 *
 * nearest("promt", ["prompt", "output"]); // "prompt"
 * nearest("banana", ["prompt", "output"]); // undefined
 * ```
 *
 * @returns The closest candidate, the first of equals; `undefined` if none is close enough to offer.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  // at most a third of the letters may be wrong: beyond that a suggestion is a guess
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    // lengths that differ by as much cost as many edits
    const atLeast = Math.abs(word.length - candidate.length);
    if (atLeast >= Math.min(least, candidate.length)) continue;
    const edits = distance(word.toLowerCase(), candidate.toLowerCase());
    if (edits < least && edits < candidate.length) [best, least] = [candidate, edits];
  }
  return best;
}

/** Damerau-Levenshtein distance: insertions, deletions, replacements, and swaps of neighbours (each pair once). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length];
}
