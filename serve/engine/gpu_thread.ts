/**
 * The thread that holds the model: a Worker, since a wait for the GPU blocks a thread of Deno's. It does what orders
 * say, one after the other; see messages.ts.
 *
 * @module
 */

import { sendError } from "../../engine/mod.ts";
import { ServedModel } from "./served_model.ts";
import type { Answers, Order, Reply } from "./messages.ts";

/** What a Worker has, which the types of the main thread do not know. */
interface Scope {
  onmessage: ((event: MessageEvent<Order>) => void) | null;
  postMessage(reply: Reply, transfer?: Transferable[]): void;
}

/** Milliseconds between looks at whether a batch is to end. */
const LOOK = 50;

const scope = globalThis as unknown as Scope;

let model: ServedModel | null = null;
let cancel: Int32Array = new Int32Array(1);

type Asked = Exclude<Order, { kind: "cancel" }>;

async function follow(order: Asked): Promise<Answers[Order["kind"]]> {
  if (order.kind === "open") {
    cancel = order.cancel;
    model = await ServedModel.open(order.options);
    return await model.card();
  }
  if (order.kind === "fits") return await model!.fits(order.settings, order.images);
  if (order.kind === "close") {
    model?.dispose();
    model = null;
    return null;
  }
  // what is not shared still says that the last batch was cancelled
  if (cancel.buffer instanceof ArrayBuffer) cancel[0] = 0;
  const stop = new AbortController();
  const check = () => {
    if (Atomics.load(cancel, 0)) stop.abort();
  };
  const onScale = (scale: Extract<Reply, { kind: "scale" }>["scale"]) => {
    const buffers = scale.images.flatMap((image) => image ? [image.rgba.buffer] : []);
    scope.postMessage({ kind: "scale", scale }, buffers);
  };
  // images are read before the first scale
  const timer = setInterval(check, LOOK);
  try {
    return await model!.make(order.batch, onScale, stop.signal, check);
  } finally {
    clearInterval(timer);
  }
}

/** What an answer hands over in place of copying it. */
function buffersOf(answer: Answers[Order["kind"]]): Transferable[] {
  return Array.isArray(answer)
    ? answer.flatMap(({ rgba, bits }) => [rgba.buffer, bits.buffer])
    : [];
}

scope.onmessage = async ({ data: order }) => {
  if (order.kind === "cancel") {
    cancel[0] = 1;
    return;
  }
  try {
    const answer = await follow(order);
    scope.postMessage(
      { kind: "answer", answer, gpuBytes: model?.gpuBytes ?? 0 },
      buffersOf(answer),
    );
  } catch (error) {
    const gpuBytes = model?.gpuBytes ?? 0;
    scope.postMessage({ kind: "error", error: sendError(error, "Cannot generate"), gpuBytes });
  }
};
