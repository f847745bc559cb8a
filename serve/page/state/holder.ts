import { Failure } from "../data/failure.ts";
import { START, type State } from "./state.ts";

/** Holds the state, and tells of each change. */
export class Holder {
  state: State = START;
  #listeners = new Set<(state: State) => void>();

  /** Calls `listener` with each state. Returns what ends that. */
  subscribe(listener: (state: State) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Changes some of the state. */
  set(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener(this.state);
  }

  /**
   * Does something, and shows why it failed.
   *
   * @param again What to offer then.
   * @param signal Aborted by the user, who needs no reason.
   */
  protected async attempt(
    work: () => Promise<void>,
    again?: () => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (signal?.aborted) return this.set({ said: "Cancelled" });
      const failure = error instanceof Failure
        ? error
        : new Failure("Something failed in this page");
      if (failure !== error) console.error(error);
      const dialog = failure.kind === "token" ? "token" : undefined;
      this.set({ problem: { failure, again: again && (() => void again()) }, dialog });
    }
  }
}
