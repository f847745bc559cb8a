/** What the Worker that decodes images and its owner say to each other. */

import type { SentError } from "../../../../engine/mod.ts";
import type { Decoded, DecodeJob } from "./decode.ts";

/** To the Worker. */
export interface Order {
  readonly id: number;
  readonly job: DecodeJob;
}

/** From the Worker: that it has started, or the answer to an order. */
export type Answer =
  | "ready"
  | { readonly id: number; readonly decoded: Decoded }
  | { readonly id: number; readonly error: SentError };
