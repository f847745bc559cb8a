/** Size of a scale in tokens. */
export type Grid = readonly [height: number, width: number];

/** Formats a grid as `rows x columns`, such as `4x6`. */
export function gridText([h, w]: Grid): string {
  return `${h}x${w}`;
}

/** Formats a schedule as `1x1,2x2,…`, which {@link parseSchedule} reads. */
export function scheduleText(schedule: readonly Grid[]): string {
  return schedule.map(gridText).join(",");
}
