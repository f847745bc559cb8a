/** What the Worker that decodes images and its owner say to each other. */

import { BitwiseError, FileError, InputError, OutOfMemoryError } from "../../../../engine/mod.ts";
import type { Decoded, DecodeJob } from "./decode.ts";

/** To the Worker. */
export interface Order {
  readonly id: number;
  readonly job: DecodeJob;
}

/** An error in a form that can be sent. */
export interface SentError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** From the Worker: that it has started, or the answer to an order. */
export type Answer =
  | "ready"
  | { readonly id: number; readonly decoded: Decoded }
  | { readonly id: number; readonly error: SentError };

const CLASSES = { FileError, InputError, OutOfMemoryError } as const;

/** Makes an error that can be sent. */
export function sendError(error: unknown): SentError {
  if (error instanceof BitwiseError) {
    const { name, code, message, hint } = error;
    return { name, code, message, hint };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : `${error}`;
  return { name: "BitwiseError", code: "worker-failed", message: `Cannot decode: ${message}` };
}

/** Makes the error again that was sent, of the same class. */
export function receiveError({ name, code, message, hint }: SentError): BitwiseError {
  const Class = CLASSES[name as keyof typeof CLASSES] ?? BitwiseError;
  return new Class(code, message, { hint });
}
