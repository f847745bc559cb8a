import type { Source } from "../data/source.ts";
import { server } from "../sources/server.ts";
import { openTabSource, type TabSource, whyNoTab } from "../sources/tab.ts";
import type { Holder } from "./holder.ts";

/** The two places where pictures can be drawn, and the switch between them. */
export class Places {
  #tab?: TabSource;

  /** Shows what it does in the state of `holder`. */
  constructor(private readonly holder: Holder) {}

  /** Looks whether the tab can draw. */
  async look(): Promise<void> {
    const why = await whyNoTab();
    this.holder.set({ place: { at: "server", why } });
  }

  /**
   * Goes to a place.
   *
   * @throws {Failure} It cannot draw.
   */
  async go(to: "server" | "tab"): Promise<Source> {
    const { holder } = this;
    if (to === "server") {
      await this.#tab?.close();
      this.#tab = undefined;
      holder.set({ place: { at: "server" } });
      return server;
    }
    const say = (opening: string) => holder.set({ place: { at: "server", opening } });
    say("Opening the engine");
    try {
      this.#tab = await openTabSource(({ stage, done, total }) => {
        const percent = total ? ` ${Math.floor(100 * done / total)} %` : "";
        say(stage === "load" ? "Loading the model" : `Fetching the model${percent}`);
      });
    } catch (error) {
      holder.set({ place: { at: "server" } });
      throw error;
    }
    holder.set({ place: { at: "tab" }, said: "Running in this tab" });
    return this.#tab;
  }
}
