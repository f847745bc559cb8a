import { type ComponentChildren, useEffect, useRef } from "../../../deps/preact.ts";
import { SHORTCUTS } from "../state/shortcuts.ts";
import type { State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";

/** What a header can carry; with other characters the page could send nothing. Spaces around it are cut off. */
const TOKEN = String.raw`\s*[!-~]+\s*`;

/** The dialog that is open, if one is. */
export function Dialogs({ studio, state }: { studio: Studio; state: State }) {
  const close = () => studio.set({ dialog: undefined });
  if (state.dialog === "keys") {
    return (
      <Dialog title="Shortcuts" onClose={close}>
        <dl class="keys">
          {SHORTCUTS.map(([keys, what]) => (
            <div key={keys}>
              <dt>{keys.split(" ").map((key) => <kbd key={key}>{key}</kbd>)}</dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
        <form method="dialog" class="row">
          <button type="submit" class="primary">Close</button>
        </form>
      </Dialog>
    );
  }
  if (state.dialog !== "token") return null;
  return (
    <Dialog title="The server wants its token" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const token = new FormData(event.currentTarget).get("token");
          void studio.enterToken(`${token}`.trim());
        }}
      >
        <div class="field">
          <label for="token">Token</label>
          <input
            id="token"
            name="token"
            type="password"
            autocomplete="off"
            required
            pattern={TOKEN}
            title="letters, digits and signs of ASCII, without spaces"
          />
          <p class="hint">It is kept until this tab is closed.</p>
        </div>
        <div class="row">
          <button type="submit" class="primary">Continue</button>
          <button type="button" onClick={close}>Not now</button>
        </div>
      </form>
    </Dialog>
  );
}

function Dialog(
  { title, onClose, children }: {
    title: string;
    onClose: () => void;
    children: ComponentChildren;
  },
) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}
