import { useEffect, useRef } from "../../../deps/preact.ts";
import { describe } from "../data/picture.ts";
import {
  imageOf,
  indexOf,
  selectedOf,
  type Slot,
  slotOf,
  slotsOf,
  type State,
} from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Actions } from "./actions.tsx";
import { Blank } from "./blank.tsx";
import { Icon } from "./icon.tsx";
import { Scales } from "./scales.tsx";
import { Shown } from "./shown.tsx";

/** The pictures of a request: growing, or done. */
export function Stage({ studio, state }: { studio: Studio; state: State }) {
  const slots = slotsOf(state);
  const selected = selectedOf(state);
  const { pinned, scale, alone, run } = state;
  const stage = useRef<HTMLElement>(null);
  // on a phone, it is below the form
  useEffect(() => {
    const top = stage.current?.getBoundingClientRect().top ?? 0;
    if (run && top > innerHeight / 2) stage.current!.scrollIntoView();
  }, [run?.group]);
  if (!selected) return <Empty />;
  return (
    <section class="stage" ref={stage} aria-label="Pictures">
      {pinned
        ? (
          <div class="views two">
            <View slot={slotOf(pinned)} caption />
            <View slot={selected} scale={scale} caption />
          </div>
        )
        : slots.length === 1 || alone
        ? (
          <div class="views one">
            <View slot={selected} scale={scale} />
          </div>
        )
        : <Grid studio={studio} state={state} slots={slots} />}
      <Scales studio={studio} state={state} slot={selected} />
      <Actions studio={studio} state={state} slot={selected} />
    </section>
  );
}

/** The pictures of a request side by side, all after the same scale. */
function Grid(
  { studio, state, slots }: { studio: Studio; state: State; slots: readonly Slot[] },
) {
  const selected = indexOf(state);
  return (
    <div
      class="grid"
      role="group"
      aria-label="Pictures of this request"
      style={{ "--columns": Math.ceil(Math.sqrt(slots.length)) }}
    >
      {slots.map((slot, index) => (
        <button
          key={index}
          type="button"
          class="thumb"
          aria-label={`Picture ${index + 1}, seed ${slot.seed}`}
          aria-pressed={index === selected}
          onClick={() => studio.set({ index })}
        >
          <Blank image={imageOf(slot, state.scale) ?? imageOf(slot)} />
        </button>
      ))}
    </div>
  );
}

/** One picture, large. */
function View({ slot, scale, caption }: { slot: Slot; scale?: number; caption?: boolean }) {
  const image = imageOf(slot, scale);
  const words = scale === undefined
    ? describe(slot)
    : `${describe(slot)}, after scale ${scale + 1}`;
  return (
    <figure class="view" aria-busy={!slot.picture}>
      {image
        ? <Shown image={image} alt={words} name="picture" />
        : <div class="picture waiting" role="img" aria-label="Waiting for the first scale" />}
      {caption && <figcaption>{words}</figcaption>}
    </figure>
  );
}

function Empty() {
  return (
    <section class="stage empty" aria-label="Pictures">
      <svg class="scales-mark" viewBox="0 0 120 40" aria-hidden="true">
        <rect x="0" y="36" width="4" height="4" />
        <rect x="10" y="32" width="8" height="8" />
        <rect x="24" y="24" width="16" height="16" />
        <rect x="46" y="12" width="28" height="28" />
        <rect x="80" y="0" width="40" height="40" />
      </svg>
      <h2>Pictures grow here, scale by scale</h2>
      <p>
        Say what to draw and press Generate. Drop a picture anywhere to edit it, or to read the
        settings that made it.
      </p>
      <p class="hint">
        <Icon name="keys" /> Press <kbd>?</kbd> for all shortcuts.
      </p>
    </section>
  );
}
