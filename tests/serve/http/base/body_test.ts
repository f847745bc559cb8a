import { assertEquals, assertRejects } from "@std/assert";
import { z } from "../../../../deps/hono.ts";
import { readForm, readJson } from "../../../../serve/http/base/body.ts";
import { RequestError } from "../../../../serve/http/base/errors.ts";
import { Bodies, Held } from "../../../../serve/http/base/held.ts";
import { LIMITS } from "../../../../serve/http/base/limits.ts";

const SCHEMA = z.object({ list: z.array(z.unknown()).optional(), text: z.string().optional() });
const held = () => new Held(new Bodies(LIMITS));

function sent(type: string, body: BodyInit): Request {
  return new Request("http://localhost/", {
    method: "POST",
    headers: { "content-type": type },
    body,
  });
}

/** Reads while a built-in that costs memory is watched; returns how often it was called. */
async function calls<T>(owner: T, name: keyof T, run: () => Promise<unknown>): Promise<number> {
  const real = owner[name] as (...args: unknown[]) => unknown;
  let count = 0;
  owner[name] = function (this: unknown, ...args: unknown[]) {
    count++;
    return real.apply(this, args);
  } as T[keyof T];
  try {
    await run();
  } finally {
    owner[name] = real as T[keyof T];
  }
  return count;
}

const json = (body: string) =>
  readJson(sent("application/json", body), held(), LIMITS.bodyBytes, SCHEMA);
const form = (body: string) =>
  readForm(sent("multipart/form-data; boundary=b", body), held(), LIMITS.bodyBytes, SCHEMA, []);
const part = (name: string, text: string) =>
  `--b\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;

Deno.test("JSON of too many values is refused before it is parsed", async () => {
  const values = (count: number) => `{"list":[${Array(count).fill(0)}]}`;
  assertEquals((await json(values(16_383))).list?.length, 16_383);
  const parsed = await calls(JSON, "parse", async () => {
    const { message } = await assertRejects(() => json(values(16_384)), RequestError);
    assertEquals(message, "Cannot read the body: its JSON has more than 16384 values");
  });
  assertEquals(parsed, 0);
  const text = "A".repeat(2 ** 20);
  assertEquals((await json(`{"text":"${text}"}`)).text, text);
});

Deno.test("A form of too many parts is refused before it is taken apart", async () => {
  const parts = (count: number) => part("a", "").repeat(count) + "--b--\r\n";
  for (const [count, times] of [[65, 1], [1000, 0]] as const) {
    const read = () => assertRejects(() => form(parts(count)), RequestError);
    assertEquals(await calls(Response.prototype, "formData", read), times, `${count} parts`);
  }
  const paragraphs = "a\r\n\r\n".repeat(100);
  const { fields } = await form(part("text", paragraphs) + "--b--\r\n");
  assertEquals(fields.text, paragraphs);
});

Deno.test("A field of a form that spells too many values is not parsed", async () => {
  const field = (count: number) => part("list", `[${Array(count).fill(0)}]`) + "--b--\r\n";
  assertEquals((await form(field(16_383))).fields.list?.length, 16_383);
  const read = () => assertRejects(() => form(field(20_000)), RequestError);
  assertEquals(await calls(JSON, "parse", read), 0);
});
