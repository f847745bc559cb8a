/**
 * Errors that cross from one thread to another.
 *
 * @module
 */

import {
  BitwiseError,
  CheckpointError,
  ConfigError,
  DeviceError,
  FileError,
  InputError,
  KernelError,
  OutOfMemoryError,
  SafetensorsError,
} from "./errors.ts";

/** An error in a form that can be sent. */
export interface SentError {
  /** The name of its class. */
  readonly name: string;
  /** See {@link BitwiseError.code}. */
  readonly code: string;
  /** See {@link BitwiseError}. */
  readonly message: string;
  /** See {@link BitwiseError.hint}. */
  readonly hint?: string;
}

const CLASSES = {
  CheckpointError,
  ConfigError,
  DeviceError,
  FileError,
  InputError,
  KernelError,
  OutOfMemoryError,
  SafetensorsError,
} as const;

/**
 * Makes an error that can be sent.
 *
 * @param failed What failed where an error is not one of ours, such as `"Cannot decode"`.
 */
export function sendError(error: unknown, failed: string): SentError {
  if (error instanceof BitwiseError) {
    const { name, code, message, hint } = error;
    return { name, code, message, hint };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : `${error}`;
  return { name: "BitwiseError", code: "worker-failed", message: `${failed}: ${message}` };
}

/** Makes the error again that was sent, of the same class. */
export function receiveError({ name, code, message, hint }: SentError): BitwiseError {
  const Class = Object.hasOwn(CLASSES, name) ? CLASSES[name as keyof typeof CLASSES] : BitwiseError;
  return new Class(code, message, { hint });
}
