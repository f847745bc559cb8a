import { BitwiseError } from "../../engine/mod.ts";

/** More jobs wait than the queue holds. */
export class BusyError extends BitwiseError {
  /** Always `"BusyError"`, also when minified. */
  override readonly name: string = "BusyError";

  /**
   * Makes an error.
   *
   * @param waiting Jobs that wait.
   * @param retryAfter Seconds after which there is probably room.
   */
  constructor(waiting: number, readonly retryAfter: number) {
    super(
      "queue-full",
      `Cannot take another image: ${waiting} wait already; try again in ${retryAfter} s`,
    );
  }
}
