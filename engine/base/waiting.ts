/** Waits for a promise, but not longer than until a signal aborts. @throws The reason of the signal. */
export function orAbort<T>(signal: AbortSignal | undefined, step: Promise<T>): Promise<T> {
  if (!signal) return step;
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop);
  return Promise.race([step, promise]).finally(() => signal.removeEventListener("abort", stop));
}

/** Waits for a promise, but not longer than so many milliseconds. @throws What the promise rejects with in that time. */
export async function within(milliseconds: number, step: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, milliseconds);
  try {
    await Promise.race([step, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when a signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}
