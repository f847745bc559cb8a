import type { Slot, State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Icon } from "./icon.tsx";
import { Blank } from "./blank.tsx";

/** The picture after each scale; those before one can be kept. */
export function Scales({ studio, state, slot }: { studio: Studio; state: State; slot: Slot }) {
  const { picture, scales, total } = slot;
  if (total === 0) return null;
  const shown = state.scale ?? (picture ? total - 1 : scales.findLastIndex((image) => image));
  const kept = state.scale === undefined ? 0 : state.scale + 1;
  return (
    <div class="scales">
      <div class="strip" role="group" aria-label="Scales">
        {Array.from({ length: total }, (_, scale) => (
          <button
            key={scale}
            type="button"
            class={scale < kept ? "thumb kept" : "thumb"}
            aria-label={`Scale ${scale + 1} of ${total}`}
            aria-pressed={scale === shown}
            disabled={!scales[scale]}
            onClick={() =>
              studio.set({ scale: scale === total - 1 && picture ? undefined : scale })}
          >
            <Blank image={scales[scale]} />
            <span class="number">{scale + 1}</span>
          </button>
        ))}
      </div>
      {picture?.bits && (
        <div class="keep">
          <button
            type="button"
            disabled={kept === 0 || !!state.run}
            onClick={() => studio.keep(picture, kept)}
          >
            <Icon name="redo" />
            {kept === 0 ? "Keep scales, redraw the rest" : keepWords(kept)}
          </button>
          {kept === 0 && <span class="hint">Choose the last scale to keep.</span>}
        </div>
      )}
    </div>
  );
}

function keepWords(kept: number): string {
  return kept === 1 ? "Keep scale 1, redraw the rest" : `Keep scales 1–${kept}, redraw the rest`;
}
