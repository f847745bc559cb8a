/**
 * A Worker that decodes image files. It answers orders one after the other; see messages.ts.
 *
 * @module
 */

import { decode } from "./decode.ts";
import type { Answer, Order } from "./messages.ts";
import { sendError } from "../../../../engine/mod.ts";

/** What a Worker has, which the types of the main thread do not know. */
interface Scope {
  onmessage: ((event: MessageEvent<Order>) => void) | null;
  postMessage(answer: Answer, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as Scope;

let last: Promise<void> = Promise.resolve();

scope.onmessage = ({ data: { id, job } }) => {
  last = last.then(() => decode(job)).then(
    (decoded) => scope.postMessage({ id, decoded }, [decoded.rgb.buffer]),
    (error) => scope.postMessage({ id, error: sendError(error, "Cannot decode") }, []),
  );
};
scope.postMessage("ready", []);
