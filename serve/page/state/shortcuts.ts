/// <reference lib="dom" />

import { download } from "./download.ts";
import { selectedOf } from "./state.ts";
import type { Studio } from "./studio.ts";

/** What keys do, for the list of shortcuts. */
export const SHORTCUTS: readonly (readonly [keys: string, what: string])[] = [
  ["Ctrl Enter", "Generate (⌘ Enter on a Mac)"],
  ["Esc", "Cancel, or leave what is open"],
  ["← →", "Previous and next scale"],
  ["↑ ↓", "Previous and next picture of the history"],
  ["K", "Keep the scales as far as the one shown, redraw the rest"],
  ["C", "Compare with this picture"],
  ["D", "Download the picture"],
  ["/", "Go to the prompt"],
  ["?", "Show this list"],
];

/** Does what a key means. Keys that something on the page uses itself are left to it. */
export function onKey(studio: Studio, event: KeyboardEvent): void {
  if (event.defaultPrevented || studio.state.dialog) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    return void studio.generate();
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return leave(studio);
  const target = event.target as HTMLElement;
  if (target.closest("input, textarea, select, canvas")) return;
  const action = actionOf(studio, event.key);
  if (!action) return;
  event.preventDefault();
  action();
}

function leave(studio: Studio): void {
  const { run, pinned } = studio.state;
  if (run) studio.cancel();
  else if (pinned) studio.set({ pinned: undefined });
  else studio.set({ scale: undefined });
}

function actionOf(studio: Studio, key: string): (() => void) | undefined {
  const { scale, pinned } = studio.state;
  const selected = selectedOf(studio.state);
  const picture = selected?.picture;
  // where there is nothing to walk through, arrows scroll
  if (/^arrow(up|down)$/i.test(key) && studio.state.pictures.length === 0) return undefined;
  if (/^arrow(left|right)$/i.test(key) && !selected?.total) return undefined;
  switch (key.toLowerCase()) {
    case "arrowleft":
      return () => studio.stepScale(-1);
    case "arrowright":
      return () => studio.stepScale(1);
    case "arrowup":
      return () => studio.step(-1);
    case "arrowdown":
      return () => studio.step(1);
    case "k":
      return picture && scale !== undefined
        ? () => void studio.keep(picture, scale + 1)
        : undefined;
    case "c":
      return () => studio.set({ pinned: pinned ? undefined : picture });
    case "d":
      return picture && (() => download(picture));
    case "/":
      return () => document.querySelector<HTMLElement>("#prompt")?.focus();
    case "?":
      return () => studio.set({ dialog: "keys" });
  }
  return undefined;
}
