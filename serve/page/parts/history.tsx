import { useEffect, useRef, useState } from "../../../deps/preact.ts";
import { describe } from "../data/picture.ts";
import { selectedOf, type State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Blank } from "./blank.tsx";
import { Icon } from "./icon.tsx";

/** The latest pictures. */
export function History({ studio, state }: { studio: Studio; state: State }) {
  const { pictures, run, group } = state;
  const [sure, setSure] = useState(false);
  const list = useRef<HTMLUListElement>(null);
  const selected = selectedOf(state)?.picture?.id;
  useEffect(() => {
    const item = list.current?.querySelector<HTMLElement>("[aria-pressed=true]")?.parentElement;
    // of the list alone: scrollIntoView() would move the page too
    if (item) list.current!.scrollTop = item.offsetTop - list.current!.clientHeight / 2;
  }, [selected]);
  if (!pictures.length && !run) return null;
  return (
    <section class="history" aria-label="History">
      <header>
        <h2>History</h2>
        <span class="hint">{pictures.length} {pictures.length === 1 ? "picture" : "pictures"}</span>
        {sure
          ? (
            <span class="row">
              <button
                type="button"
                class="danger"
                onClick={() => {
                  setSure(false);
                  void studio.remove();
                }}
              >
                Delete all {pictures.length}
              </button>
              <button type="button" onClick={() => setSure(false)}>Keep them</button>
            </span>
          )
          : (
            <button type="button" class="quiet" onClick={() => setSure(true)}>
              <Icon name="trash" />Delete all
            </button>
          )}
      </header>
      <ul class="gallery" ref={list}>
        {run && (
          <li>
            <button
              type="button"
              class="thumb"
              aria-label="The picture that is being drawn"
              aria-pressed={run.group === group}
              onClick={() => studio.set({ group: run.group, index: 0, scale: undefined })}
            >
              <Blank image={run.slots[0]?.scales.findLast((image) => image)} />
            </button>
          </li>
        )}
        {pictures.filter((picture) => picture.group !== run?.group).map((picture) => (
          <li key={picture.id}>
            <button
              type="button"
              class="thumb"
              title={picture.prompt}
              aria-label={describe(picture)}
              aria-pressed={picture.id === selected}
              onClick={() =>
                studio.show(picture)}
            >
              <Blank image={picture.image} />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
