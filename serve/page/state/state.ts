/** What the page shows. Plain data; it is replaced, never changed. */

import type { Failure } from "../data/failure.ts";
import type { Opened } from "../data/opened.ts";
import type { Picture } from "../data/picture.ts";
import { EMPTY, type Faults, type Settings } from "../data/settings.ts";
import type { Ask, Card } from "../data/source.ts";

/** A picture of the stage, complete or not. */
export interface Slot {
  readonly prompt: string;
  readonly seed: string;
  /** A PNG after each scale, as far as they came. */
  readonly scales: readonly (Blob | undefined)[];
  /** Number of scales; 0 before the first. */
  readonly total: number;
  readonly picture?: Picture;
}

/** A request that is being drawn. */
export interface Run {
  /** The group of its pictures. */
  readonly group: string;
  readonly ask: Ask;
  readonly slots: readonly Slot[];
}

/** Something that went wrong. */
export interface Problem {
  readonly failure: Failure;
  /** What to draw again, if that may help. */
  readonly again?: () => void;
}

/** The switch between server and tab. */
export interface Place {
  readonly at: "server" | "tab";
  /** Why it cannot be switched to the tab. */
  readonly why?: string;
  /** How far the engine is, while it opens, in words. */
  readonly opening?: string;
}

/** All of it. */
export interface State {
  readonly card?: Card;
  readonly place: Place;
  readonly settings: Settings;
  /** Shown once a request was tried. */
  readonly faults: Faults;
  readonly start?: Opened;
  readonly run?: Run;
  /** The history, the latest first. */
  readonly pictures: readonly Picture[];
  /** The group on the stage; none at first. */
  readonly group?: string;
  /** Which of its pictures is selected. */
  readonly index: number;
  /** The scale that is shown; the last if absent. */
  readonly scale?: number;
  /** Whether the selected picture is shown without the others of its group. */
  readonly alone: boolean;
  /** The picture beside which others are compared. */
  readonly pinned?: Picture;
  readonly problem?: Problem;
  /** Something to know, in one line. */
  readonly note?: string;
  /** What is told to screen readers. */
  readonly said: string;
  readonly dialog?: "token" | "keys";
}

/** The page at first. */
export const START: State = {
  place: { at: "server", why: "Looking for the engine" },
  settings: EMPTY,
  faults: {},
  pictures: [],
  index: 0,
  alone: false,
  said: "",
};

/** The pictures on the stage. */
export function slotsOf({ run, group, pictures }: State): readonly Slot[] {
  if (run && run.group === group) return run.slots;
  return groupOf(pictures, group).map(slotOf);
}

/** The pictures of a group, in the order of their seeds. */
export function groupOf(pictures: readonly Picture[], group?: string): Picture[] {
  return pictures.filter((picture) => picture.group === group).sort((a, b) => a.at - b.at);
}

/** A picture of the history on the stage. */
export function slotOf(picture: Picture): Slot {
  const { prompt, seed, scales } = picture;
  return { prompt, seed, scales, total: scales.length, picture };
}

/** The picture that is selected. */
export function selectedOf(state: State): Slot | undefined {
  return slotsOf(state).at(indexOf(state));
}

/** Which picture of the stage is selected; some may have been deleted. */
export function indexOf(state: State): number {
  return Math.max(0, Math.min(state.index, slotsOf(state).length - 1));
}

/** What a picture shows after a scale, or after the latest. */
export function imageOf(slot: Slot, scale?: number): Blob | undefined {
  if (scale !== undefined) return slot.scales[scale];
  return slot.picture?.image ?? slot.scales.findLast((image) => image);
}
