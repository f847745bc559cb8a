/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** The page's entry: what its bundle begins with. */

import { render } from "../../deps/preact.ts";
import { App } from "./parts/app.tsx";
import { applyLooks, readLooks } from "./state/looks.ts";
import { Studio } from "./state/studio.ts";

applyLooks(readLooks());
render(<App studio={new Studio()} />, document.querySelector("#app")!);
