import { useEffect, useState } from "../../../deps/preact.ts";
import { onKey } from "../state/shortcuts.ts";
import type { Studio } from "../state/studio.ts";
import { Dialogs } from "./dialogs.tsx";
import { DropZones } from "./drop_zones.tsx";
import { Form } from "./form.tsx";
import { Header } from "./header.tsx";
import { History } from "./history.tsx";
import { Notices } from "./notices.tsx";
import { Stage } from "./stage.tsx";

/** The whole page. */
export function App({ studio }: { studio: Studio }) {
  const [state, setState] = useState(studio.state);
  useEffect(() => {
    const end = studio.subscribe(setState);
    const listen = (event: KeyboardEvent) => onKey(studio, event);
    addEventListener("keydown", listen);
    void studio.begin();
    return () => {
      end();
      removeEventListener("keydown", listen);
    };
  }, []);
  return (
    <div class="page">
      <Header studio={studio} state={state} />
      <main>
        <Form studio={studio} state={state} />
        <div class="result">
          <Notices studio={studio} state={state} />
          <Stage studio={studio} state={state} />
          <History studio={studio} state={state} />
        </div>
      </main>
      <p class="unseen" role="status" aria-live="polite">{state.said}</p>
      <Dialogs studio={studio} state={state} />
      <DropZones studio={studio} />
    </div>
  );
}
