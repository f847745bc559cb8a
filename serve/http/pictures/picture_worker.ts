/** A thread that reads or writes image files, so that the server answers meanwhile. */

/// <reference lib="deno.worker" />

import type { Order } from "./messages.ts";
import { replyTo } from "./reply.ts";

self.onmessage = async ({ data }: MessageEvent<Order>) => self.postMessage(await replyTo(data));
