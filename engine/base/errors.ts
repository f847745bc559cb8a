/**
 * The typed errors of bitwise.
 *
 * Every error that bitwise throws on purpose is a {@linkcode BitwiseError} with a `code` for programs and a one-line
 * `message` for people. The only exception is an aborted operation, which rejects with the `reason` of its
 * `AbortSignal`, a `DOMException` named `"AbortError"` by default, as elsewhere on the web platform.
 *
 * @module
 */

import { printableJson, printableMessage } from "./printable.ts";

/**
 * The base of all errors that bitwise throws on purpose.
 *
 * @example
 * ```ts
 * import { BitwiseError, InfinityModel } from "@bitwise/infinity";
 *
 * await InfinityModel.load("no/such/folder").catch((error) => {
 *   if (error instanceof BitwiseError) console.error(error.code, error.message);
 * });
 * ```
 */
export class BitwiseError extends Error {
  /** The class name, such as `"SafetensorsError"`. */
  override readonly name: string = "BitwiseError";
  /** What went wrong, for programs: a stable code in kebab-case, such as `"header-too-large"`. */
  readonly code: string;
  /**
   * What may help, for programs, in kebab-case. The command line turns `"use-f16"`, for instance, into its own flag.
   */
  readonly hint?: string;

  /**
   * Makes an error.
   *
   * @param code A stable code in kebab-case.
   * @param message One line in sentence case, without a final period. Control characters, which names of files and
   *   tensors may hold, are replaced, and the middle of more than 1,000 characters is left out.
   * @param options The `cause`, if another error led to this one, and a `hint` in kebab-case.
   */
  constructor(code: string, message: string, options?: BitwiseErrorOptions) {
    super(printableMessage(message), options);
    this.code = code;
    this.hint = options?.hint;
  }
}

/** Options of the constructor of {@linkcode BitwiseError}. */
export interface BitwiseErrorOptions extends ErrorOptions {
  /** See {@linkcode BitwiseError.hint}. */
  readonly hint?: string;
}

/**
 * A Safetensors file, or its index, breaks a rule of the format.
 *
 * @example
 * ```ts
 * import { SafetensorsError } from "@bitwise/infinity/engine";
 *
 * const error = new SafetensorsError("hole", "Cannot read \"x.safetensors\": 8 bytes belong to no tensor");
 * console.error(error.code, error.message);
 * ```
 */
export class SafetensorsError extends BitwiseError {
  /** Always `"SafetensorsError"`, also when minified. */
  override readonly name: string = "SafetensorsError";
}

/**
 * There is no GPU device, or it was lost, or it lacks what the model needs.
 *
 * @example
 * ```ts
 * import { Device, DeviceError } from "@bitwise/infinity/engine";
 *
 * const gpu = { requestAdapter: () => Promise.resolve(null) } as unknown as GPU; // a machine without one
 * await Device.open({ gpu }).catch((error) => {
 *   if (error instanceof DeviceError) console.error(error.code, error.message);
 * });
 * ```
 */
export class DeviceError extends BitwiseError {
  /** Always `"DeviceError"`, also when minified. */
  override readonly name: string = "DeviceError";
}

/**
 * A checkpoint cannot be read, or its tensors are not those of the model.
 *
 * @example
 * ```ts
 * import { CheckpointError } from "@bitwise/infinity/engine";
 *
 * const error = new CheckpointError("no-encoder", "Cannot load \"vae.safetensors\": it has no encoder");
 * console.error(error.code, error.message);
 * ```
 */
export class CheckpointError extends BitwiseError {
  /** Always `"CheckpointError"`, also when minified. */
  override readonly name: string = "CheckpointError";
}

/**
 * A model configuration lacks a field, or has a value that is out of range.
 *
 * @example
 * ```ts
 * import { ConfigError } from "@bitwise/infinity/engine";
 *
 * const error = new ConfigError("bad-value", "Cannot use config.json: transformer.depth is 0, it must be 1 or more");
 * console.error(error.code, error.message);
 * ```
 */
export class ConfigError extends BitwiseError {
  /** Always `"ConfigError"`, also when minified. */
  override readonly name: string = "ConfigError";
}

/**
 * An argument is out of range, or has the wrong type or shape.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 * import { InputError } from "@bitwise/infinity/engine";
 *
 * using model = await InfinityModel.load();
 * await model.generate({ prompt: "" }).catch((error) => {
 *   if (error instanceof InputError) console.error(error.code, error.message);
 * });
 * ```
 */
export class InputError extends BitwiseError {
  /** Always `"InputError"`, also when minified. */
  override readonly name: string = "InputError";
}

/**
 * The GPU or the host has too little memory.
 *
 * @example
 * ```ts
 * import { InfinityModel } from "@bitwise/infinity";
 * import { fitMemory } from "@bitwise/infinity/analysis";
 * import { OutOfMemoryError } from "@bitwise/infinity/engine";
 *
 * using model = await InfinityModel.load();
 * await fitMemory(model.config, {}, 1e6).catch((error) => {
 *   if (error instanceof OutOfMemoryError) console.error(error.code, error.message);
 * });
 * ```
 */
export class OutOfMemoryError extends BitwiseError {
  /** Always `"OutOfMemoryError"`, also when minified. */
  override readonly name: string = "OutOfMemoryError";
}

/**
 * A GPU kernel is malformed, or cannot run on the given shapes.
 *
 * @example
 * ```ts
 * import { defineKernel, KernelError } from "@bitwise/infinity/engine";
 *
 * try {
 *   defineKernel("none", "fn main() {}", ["x"], []);
 * } catch (error) {
 *   if (error instanceof KernelError) console.error(error.code, error.message);
 * }
 * ```
 */
export class KernelError extends BitwiseError {
  /** Always `"KernelError"`, also when minified. */
  override readonly name: string = "KernelError";
}

/**
 * A file cannot be read or written.
 *
 * @example
 * ```ts
 * import { FileError } from "@bitwise/infinity/engine";
 *
 * const error = new FileError("disk-full", "Cannot write \"apple.png\": the disk is full");
 * console.error(error.code, error.message);
 * ```
 */
export class FileError extends BitwiseError {
  /** Always `"FileError"`, also when minified. */
  override readonly name: string = "FileError";
}

/**
 * Quotes a name for a one-line message. Escapes line breaks and control characters, and cuts names of more than 120
 * characters.
 *
 * @param text A file, tensor or key name.
 * @returns The name in double quotes.
 */
export function quote(text: string): string {
  const cut = text.length > 120 ? `${text.slice(0, 119).replace(/[\ud800-\udbff]$/, "")}…` : text;
  return printableJson(JSON.stringify(cut));
}

/**
 * Formats a number of bytes in decimal units.
 *
 * @param bytes The number of bytes.
 * @returns Text such as `"12 B"`, `"4.2 MB"` or `"100 MB"`.
 */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  const digits = unit === 0 || value >= 9.95 ? value.toFixed(0) : value.toFixed(1);
  return `${digits.replace(/\.0$/, "")} ${units[unit]}`;
}
