import { useEffect, useState } from "../../../deps/preact.ts";
import type { State } from "../state/state.ts";
import type { Studio } from "../state/studio.ts";
import { Icon } from "./icon.tsx";

/** What went wrong, or what there is to know. */
export function Notices({ studio, state }: { studio: Studio; state: State }) {
  const { problem, note } = state;
  return (
    <div class="notices">
      <div role="alert">
        {problem && (
          <div class="notice problem">
            <p>
              {problem.failure.message}.
              {problem.failure.kind === "busy" && <Wait seconds={problem.failure.retryAfter} />}
            </p>
            {problem.again && (
              <button type="button" onClick={problem.again}>
                <Icon name="redo" />Try again
              </button>
            )}
            {problem.failure.kind === "token" && (
              <button
                type="button"
                onClick={() => studio.set({ dialog: "token" })}
              >
                Enter the token
              </button>
            )}
            <Close what="message" onClose={() => studio.set({ problem: undefined })} />
          </div>
        )}
      </div>
      {note && (
        <div class="notice">
          <p>{note}.</p>
          <Close what="note" onClose={() => studio.set({ note: undefined })} />
        </div>
      )}
    </div>
  );
}

function Close({ what, onClose }: { what: string; onClose: () => void }) {
  return (
    <button type="button" class="icon-button" aria-label={`Close the ${what}`} onClick={onClose}>
      <Icon name="close" />
    </button>
  );
}

/** Counts down to when there is probably room. */
function Wait({ seconds = 0 }: { seconds?: number }) {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    const timer = setInterval(() => setLeft((left) => Math.max(0, left - 1)), 1000);
    return () => clearInterval(timer);
  }, []);
  return <span aria-hidden="true">{left > 0 ? ` Probably room in ${left} s.` : ""}</span>;
}
