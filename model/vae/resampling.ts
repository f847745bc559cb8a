/** `up` doubles the size as the official Upsample does, `down` halves it as Downsample does. */
export type Resampling = "up" | "down";

/**
 * By how much a convolution changes the size, how it does it (Downsample pads with zeros on the bottom and right only),
 * and which rows, from one up to another, it reads for rows `first` up to `end`; some may lie outside the image.
 */
export const RESAMPLE = {
  up: {
    scale: 2,
    how: { upsample: true },
    reads: (first: number, end: number) => [Math.floor((first - 1) / 2), Math.floor(end / 2) + 1],
  },
  down: {
    scale: 0.5,
    how: { stride: 2, padding: "after" },
    reads: (first: number, end: number) => [2 * first, 2 * end + 1],
  },
} as const;
