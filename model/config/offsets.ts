/**
 * Where each of several runs begins if they follow one another, then the end of the last: [0, n₀, n₀ + n₁, …], one more
 * than there are lengths.
 */
export function offsets(lengths: readonly number[]): number[] {
  const starts = [0];
  for (const [i, length] of lengths.entries()) starts.push(starts[i]! + length);
  return starts;
}
