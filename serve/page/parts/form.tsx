import { type Settings, sizeName } from "../data/settings.ts";
import type { State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Field } from "./field.tsx";
import { StartPanel } from "./start_panel.tsx";

/** What to draw, and how. */
export function Form({ studio, state }: { studio: Studio; state: State }) {
  const { settings, faults, card, run } = state;
  const typed = (name: keyof Settings) => (event: { currentTarget: { value: string } }) =>
    studio.edit({ [name]: event.currentTarget.value });
  const own = (value?: number | readonly number[]) =>
    Array.isArray(value) ? "model’s" : `${value ?? ""}`;
  return (
    <form
      class="form"
      aria-label="Picture to draw"
      onSubmit={(event) => {
        event.preventDefault();
        void studio.generate();
      }}
    >
      <Field id="prompt" label="Prompt" fault={faults.prompt}>
        {(described) => (
          <textarea
            {...described}
            rows={3}
            value={settings.prompt}
            onInput={typed("prompt")}
            placeholder="What the picture shows"
          />
        )}
      </Field>
      <Field id="negative" label="Negative prompt">
        {(described) => (
          <textarea
            {...described}
            rows={1}
            value={settings.negative}
            onInput={typed("negative")}
            placeholder="What to lead away from"
          />
        )}
      </Field>
      <StartPanel studio={studio} state={state} />
      <div class="pair">
        <Field id="size" label="Size">
          {(described) => (
            <select {...described} value={settings.size} onChange={typed("size")}>
              {card?.sizes.map((size) => (
                <option key={sizeName(size)} value={sizeName(size)}>
                  {size.width} × {size.height}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field id="count" label="Pictures">
          {(described) => (
            <input
              {...described}
              type="number"
              min={1}
              max={card?.maxImages ?? 1}
              value={settings.count}
              onChange={(event) => {
                const count = Math.round(event.currentTarget.valueAsNumber || 1);
                const most = card?.maxImages ?? 1;
                event.currentTarget.value = `${Math.max(1, Math.min(most, count))}`;
                studio.edit({ count: event.currentTarget.valueAsNumber });
              }}
            />
          )}
        </Field>
        <Field id="cfg" label="Guidance" note={<span class="hint">cfg</span>} fault={faults.cfg}>
          {(described) => (
            <input
              {...described}
              inputMode="decimal"
              value={settings.cfg}
              onInput={typed("cfg")}
              placeholder={own(card?.defaults.cfgScale)}
            />
          )}
        </Field>
        <Field id="tau" label="Temperature" note={<span class="hint">tau</span>} fault={faults.tau}>
          {(described) => (
            <input
              {...described}
              inputMode="decimal"
              value={settings.tau}
              onInput={typed("tau")}
              placeholder={own(card?.defaults.tau)}
            />
          )}
        </Field>
      </div>
      <Field
        id="seed"
        label="Seed"
        fault={faults.seed}
        note={
          <label class="check">
            <input
              type="checkbox"
              checked={settings.random}
              onChange={(event) => studio.edit({ random: event.currentTarget.checked })}
            />
            Random
          </label>
        }
      >
        {(described) => (
          <input
            {...described}
            inputMode="numeric"
            value={settings.seed}
            onInput={(event) => studio.edit({ seed: event.currentTarget.value, random: false })}
            placeholder="Another for each request"
          />
        )}
      </Field>
      <div class="go">
        {run
          ? <button type="button" class="primary" onClick={() => studio.cancel()}>Cancel</button>
          : <button type="submit" class="primary" disabled={!card}>Generate</button>}
        <kbd>{run ? "Esc" : "Ctrl Enter"}</kbd>
      </div>
    </form>
  );
}
