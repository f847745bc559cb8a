/** Lets long work on the CPU be interrupted: timers, signals and other requests get their turn. */

/** Milliseconds of work between two turns. */
const TURN = 20;

/**
 * Passes values on, and gives the event loop a turn every 20 ms.
 *
 * @param values What is computed as it is asked for, such as the rows of an image.
 * @param signal Stops it: its reason is thrown.
 */
export async function* inTurns<T>(
  values: AsyncIterable<T>,
  signal?: AbortSignal,
): AsyncGenerator<T, void> {
  let last = performance.now();
  for await (const value of values) {
    signal?.throwIfAborted();
    yield value;
    if (performance.now() - last < TURN) continue;
    await new Promise((resolve) => setTimeout(resolve));
    last = performance.now();
  }
}
