import type { Problem } from "./cases.ts";

/** An engine that can do the cases, or some of them. */
export interface Peer {
  /** Package and version. */
  readonly name: string;
  /**
   * Uploads a problem's numbers in the layouts the engine likes best, and compiles.
   *
   * @throws {Unsupported} what the engine lacks; anything else is an error of the engine.
   */
  prepare(problem: Problem): Promise<Prepared>;
}

/** A problem on the GPU. */
export interface Prepared {
  /** What the counts given to `run` must be divisible by. */
  readonly step: number;
  /** Does the work `times` times, then waits once: as the engine itself would, or for its device's queue. */
  run(times: number): Promise<void>;
  /** The result of the last run, in the problem's layout. */
  output(): Promise<Float32Array>;
  /** Frees what the problem took. */
  dispose(): void;
}

/** The engine has no operation for this. */
export class Unsupported extends Error {
  /** Always `"Unsupported"`. */
  override readonly name: string = "Unsupported";
}

/**
 * A package that only bench/peers/deno.json knows, by its name there; T is what we use of it. Not a plain `import`, so
 * that the checks of the project itself neither need nor fetch it.
 */
export async function load<T>(name: string): Promise<T> {
  return await import(name) as T;
}
