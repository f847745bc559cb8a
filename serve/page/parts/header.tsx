import { useState } from "../../../deps/preact.ts";
import { keepLooks, type Looks, readLooks } from "../state/looks.ts";
import type { State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Icon } from "./icon.tsx";

const NEXT = { auto: "light", light: "dark", dark: "auto" } as const;
const THEMES = { auto: "as the system", light: "light", dark: "dark" } as const;
const ICONS = { auto: "system", light: "sun", dark: "moon" } as const;

/** The name of the model, and switches for the whole page. */
export function Header({ studio, state }: { studio: Studio; state: State }) {
  const { card, place } = state;
  const [looks, setLooks] = useState(readLooks);
  const change = (change: Partial<Looks>) => {
    const next = { ...looks, ...change };
    setLooks(next);
    keepLooks(next);
  };
  return (
    <header class="top">
      <h1>bitwise</h1>
      {card && <span class="model">{card.name}</span>}
      <span class="tab" title={place.why}>
        <button
          type="button"
          role="switch"
          class="switch"
          aria-checked={place.at === "tab"}
          aria-describedby="tab-why"
          disabled={!!state.run || !!place.opening || (place.at === "server" && !!place.why)}
          onClick={() => studio.move(place.at === "tab" ? "server" : "tab")}
        >
          Run in this tab
        </button>
        <span id="tab-why" class="hint">{place.opening ?? place.why}</span>
      </span>
      <div class="tools">
        <button
          type="button"
          class="icon-button"
          aria-label="Show pixels"
          title="Show pixels"
          aria-pressed={looks.pixels}
          onClick={() => change({ pixels: !looks.pixels })}
        >
          <Icon name="pixels" />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label={`Colours: ${THEMES[looks.theme]}`}
          title={`Colours: ${THEMES[looks.theme]}`}
          onClick={() => change({ theme: NEXT[looks.theme] })}
        >
          <Icon name={ICONS[looks.theme]} />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label="Shortcuts"
          title="Shortcuts (?)"
          onClick={() => studio.set({ dialog: "keys" })}
        >
          <Icon name="keys" />
        </button>
      </div>
    </header>
  );
}
