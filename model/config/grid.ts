/** A scale's size in tokens. */
export type Grid = readonly [height: number, width: number];

/** `rows x columns`. */
export function gridText([h, w]: Grid): string {
  return `${h}x${w}`;
}

/** `1x1,2x2,…`, as {@link parseSchedule} reads it. */
export function scheduleText(schedule: readonly Grid[]): string {
  return schedule.map(gridText).join(",");
}
