import { useRef } from "../../../deps/preact.ts";
import type { State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Icon } from "./icon.tsx";
import { MaskEditor } from "./mask_editor.tsx";

/** The picture to start from, or the buttons that open one. */
export function StartPanel({ studio, state }: { studio: Studio; state: State }) {
  const { start, settings: { strength } } = state;
  if (!start) {
    return (
      <div class="two-buttons">
        <FileButton label="Edit a picture" icon="image" onFile={(file) => studio.open(file)} />
        <FileButton label="Read settings" icon="text" onFile={(file) => studio.read(file)} />
      </div>
    );
  }
  return (
    <fieldset class="start">
      <legend>Start from a picture</legend>
      <MaskEditor key={start.mask} opened={start} />
      <div class="field">
        <div class="field-head">
          <label for="strength">Strength</label>
          <output for="strength">{Math.round(strength * 100)} %</output>
        </div>
        <input
          id="strength"
          type="range"
          min={0}
          max={1}
          step={0.05}
          value={strength}
          onInput={(event) => studio.edit({ strength: event.currentTarget.valueAsNumber })}
        />
        <p class="hint">
          How many of the scales are drawn again, counted from the finest.
        </p>
      </div>
      <button type="button" onClick={() => studio.set({ start: undefined })}>
        <Icon name="close" />Remove the picture
      </button>
    </fieldset>
  );
}

/** A button that asks for a file. */
function FileButton(
  { label, icon, onFile }: { label: string; icon: "image" | "text"; onFile: (file: File) => void },
) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <span>
      <button type="button" onClick={() => input.current!.click()}>
        <Icon name={icon} />
        {label}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={label}
        accept="image/png,image/jpeg,image/webp"
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          if (file) onFile(file);
          // the same file may be chosen again
          event.currentTarget.value = "";
        }}
      />
    </span>
  );
}
