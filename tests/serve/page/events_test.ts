import { assertEquals } from "@std/assert";
import { readEvents } from "../../../serve/page/sources/events.ts";

Deno.test("Events are read however the bytes are cut", async () => {
  const text =
    'event: a\ndata: {"é": 1}\n\n: kept alive\n\ndata: two\ndata: lines\n\r\ndata:x\r\n\r\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) {
          controller.enqueue(bytes.slice(at, at + size));
        }
        controller.close();
      },
    });
    const data: string[] = [];
    for await (const each of readEvents(stream)) data.push(each);
    assertEquals(data, ['{"é": 1}', "two\nlines", "x"], `${size} bytes at a time`);
  }
});
