/** A picture of the history. */
export interface Picture {
  /** A unique name. */
  readonly id: string;
  /** Milliseconds since 1970; pictures of one request differ by one. */
  readonly at: number;
  /** A name that the pictures of one request share. */
  readonly group: string;
  readonly prompt: string;
  /** Decimal digits. */
  readonly seed: string;
  /** A PNG that carries its parameters. */
  readonly image: Blob;
  readonly parameters: string;
  /** Its bits, as a bits file; absent if its source kept none. */
  readonly bits?: Blob;
  /** A PNG after each scale; absent where none was shown. */
  readonly scales: readonly (Blob | undefined)[];
}

/** The name of a picture for those who do not see it. */
export function describe({ prompt, seed }: Pick<Picture, "prompt" | "seed">): string {
  return `${prompt}, seed ${seed}`;
}

/** A name for a picture's file. */
export function fileName({ prompt, seed }: Picture): string {
  const words = prompt.toLowerCase().normalize("NFKD").match(/[\p{L}\p{N}]+/gu) ?? [];
  return `${[...words.slice(0, 6), seed].join("-").slice(0, 80)}.png`;
}
