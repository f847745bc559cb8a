/** Errors of requests, and what any error means to a client. */

import {
  BitwiseError,
  DeviceError,
  FileError,
  InputError,
  OutOfMemoryError,
  SafetensorsError,
} from "../../../engine/mod.ts";
import { BusyError } from "../../jobs/busy_error.ts";

/** What a client is told of an error besides its message. */
export interface RequestErrorOptions extends ErrorOptions {
  /** The field that is wrong. */
  readonly param?: string;
  /** Headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that cannot be answered as it wishes. */
export class RequestError extends BitwiseError {
  /** Always `"RequestError"`, also when minified. */
  override readonly name: string = "RequestError";

  /**
   * Makes an error.
   *
   * @param status The status of the answer.
   * @param code A stable code in kebab-case.
   * @param message One line, without a final period.
   */
  constructor(
    readonly status: number,
    code: string,
    message: string,
    readonly details: RequestErrorOptions = {},
  ) {
    super(code, message, details);
  }
}

/** What an answer says of an error. */
export interface Problem extends Pick<RequestErrorOptions, "param" | "headers"> {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** Whether it is the server's fault, so that its log should hear of it. */
  readonly ours?: boolean;
}

/** The status of an answer that nobody waits for, as nginx numbers it. */
const HUNG_UP = 499;

/** Says what an error means to a client. Unknown errors keep their message to themselves. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RequestError) {
    const { status, code, message, details } = error;
    const { param, headers } = details;
    return { status, code, message, param, headers, ours: status === 500 };
  }
  if (error instanceof BusyError) {
    const headers = { "retry-after": `${error.retryAfter}` };
    return { status: 429, code: error.code, message: error.message, headers };
  }
  if (
    error instanceof InputError || error instanceof FileError || error instanceof SafetensorsError
  ) {
    return { status: 400, code: error.code, message: error.message };
  }
  if (error instanceof DeviceError || error instanceof OutOfMemoryError) {
    return { status: 500, code: error.code, message: error.message, ours: true };
  }
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return { status: 504, code: "timeout", message: error.message };
  }
  if (error instanceof DOMException && error.name === "AbortError") {
    return { status: HUNG_UP, code: "aborted", message: "Cannot finish: the request was aborted" };
  }
  return {
    status: 500,
    code: "internal-error",
    message: "Cannot answer: an error that the server did not expect; its log says more",
    ours: true,
  };
}
