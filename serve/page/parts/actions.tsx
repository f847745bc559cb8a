import { download } from "../state/download.ts";
import { type Slot, slotsOf, type State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Icon } from "./icon.tsx";

/** What can be done with the picture that is selected. */
export function Actions({ studio, state, slot }: { studio: Studio; state: State; slot: Slot }) {
  const { picture } = slot;
  const { pinned, card, alone } = state;
  if (!picture) return null;
  return (
    <div class="about">
      <p class="what">
        {picture.prompt} <span class="hint">seed {picture.seed}</span>
      </p>
      <div class="row">
        <button type="button" onClick={() => download(picture)}>
          <Icon name="download" />Download
        </button>
        <button type="button" onClick={() => studio.open(picture.image, picture.bits)}>
          <Icon name="edit" />Edit
        </button>
        <button
          type="button"
          aria-pressed={!!pinned}
          onClick={() => studio.set({ pinned: pinned ? undefined : picture })}
        >
          <Icon name="compare" />Compare
        </button>
        {slotsOf(state).length > 1 && (
          <button
            type="button"
            aria-pressed={alone}
            onClick={() => studio.set({ alone: !alone })}
          >
            <Icon name="image" />Enlarge
          </button>
        )}
        <button
          type="button"
          disabled={!card}
          onClick={() => studio.use(picture)}
        >
          <Icon name="copy" />Use settings
        </button>
        <button type="button" onClick={() => studio.remove(picture)}>
          <Icon name="trash" />Delete
        </button>
      </div>
      {pinned && (
        <p class="hint">Choose another picture below to see it beside this one. Esc ends that.</p>
      )}
    </div>
  );
}
