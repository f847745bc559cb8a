import type { Problem } from "./cases.ts";

/** An engine that can run the cases, or some of them. */
export interface Peer {
  /** Package and version. */
  readonly name: string;
  /**
   * Uploads a problem's numbers in the layouts that the engine prefers, and compiles.
   *
   * @throws {Unsupported} if the engine lacks something; anything else is an error of the engine.
   */
  prepare(problem: Problem): Promise<Prepared>;
}

/** A problem on the GPU. */
export interface Prepared {
  /** The counts given to `run` must be divisible by this. */
  readonly step: number;
  /** Does the work `times` times, then waits once, in the engine's own way or for the queue of its device. */
  run(times: number): Promise<void>;
  /** The result of the last run, in the problem's layout. */
  output(): Promise<Float32Array>;
  /** Frees everything that belongs to the problem. */
  dispose(): void;
}

/** The engine has no operation for this. */
export class Unsupported extends Error {
  /** Always `"Unsupported"`. */
  override readonly name: string = "Unsupported";
}

/**
 * Imports a package by its name in bench/peers/deno.json; T is the part of it that is used. It is not a plain `import`,
 * so checks of the project neither need nor fetch the package.
 */
export async function load<T>(name: string): Promise<T> {
  return await import(name) as T;
}
