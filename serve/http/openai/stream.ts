/** Answers with events: each scale of each image, and then the image. */

import { within } from "../../../engine/mod.ts";
import type { Deadline } from "../base/deadline.ts";
import { openaiError } from "../base/error_shapes.ts";
import { EventStream } from "../base/event_stream.ts";
import type { Held } from "../base/held.ts";
import type { ScaleDone } from "../../jobs/job.ts";
import { sendPreview } from "../making/results.ts";
import { makeAll, type Service } from "../making/service.ts";
import { about, type Asked, dataOf, now, usage } from "./answers.ts";

/** Milliseconds in which a request that fails still gets a status; then the answer begins. */
const PATIENCE = 1000;
/** Files that wait to be written, beyond which partial images are left out. */
const MOST_WAITING = 32;

/**
 * Makes the images of a request.
 *
 * @param deadline Counts since the request was read; disposed of at the end.
 * @throws What failed before the first event.
 */
export async function streamImages(
  service: Service,
  asked: Asked,
  deadline: Deadline,
  held: Held,
): Promise<Response> {
  const events = new EventStream((how) => {
    if (how === "cancelled") deadline.abort();
    deadline[Symbol.dispose]();
  });
  const fail = (error: unknown) => events.fail("error", openaiError(service.report(error)));
  deadline.signal.addEventListener("abort", () => fail(deadline.signal.reason));
  const work = held.until(sendAll(service, asked, deadline.signal, events));
  try {
    await within(PATIENCE, Promise.race([work, events.begun]));
  } catch (error) {
    await events.body.cancel();
    throw error;
  }
  work.then(() => events.end(), fail);
  const headers = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
  };
  return new Response(events.body, { headers });
}

async function sendAll(
  service: Service,
  asked: Asked,
  signal: AbortSignal,
  events: EventStream,
): Promise<void> {
  const { kind, form, order, fields: { partial_images: partials } } = asked;
  const sent = new Array<number>(order.n).fill(0);
  const previews: Promise<void>[] = [];
  const preview = async (index: number, { scale, scales, image }: ScaleDone) => {
    const b64_json = await sendPreview(service, image!, form, signal);
    events.send(`${kind}.partial_image`, {
      type: `${kind}.partial_image`,
      b64_json,
      partial_image_index: sent[index]!++,
      created_at: now(),
      ...about(image!, form),
      index,
      scale,
      scales,
    });
  };
  await makeAll(service, order, signal, {
    watch: (index) => ({
      previews: partials !== 0,
      onScale: (done) => {
        if (!done.image || !isPartial(done.scale, done.scales, partials)) return;
        if (events.lags || service.pictures.waiting >= MOST_WAITING) return;
        const sending = preview(index, done);
        // a failure is reported below
        sending.catch(() => {});
        previews.push(sending);
      },
    }),
    use: async (made, index, signal) => {
      const data = await dataOf(service, asked, made, index, signal);
      events.send(`${kind}.completed`, {
        type: `${kind}.completed`,
        ...data,
        created_at: now(),
        ...about(made, form),
        index,
        usage: usage(service, made, 1),
      });
    },
  });
  await Promise.all(previews);
}

/** Whether a scale is among those that a client wants: all, or so many, evenly spread and before the last. */
export function isPartial(scale: number, scales: number, wanted?: number | null): boolean {
  if (wanted == null || wanted >= scales) return true;
  for (let i = 1; i <= wanted; i++) {
    if (Math.ceil(i * scales / (wanted + 1)) - 1 === scale) return true;
  }
  return false;
}
