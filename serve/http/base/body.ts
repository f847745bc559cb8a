/** Reads bodies of requests as JSON or as forms. */

import { Buffer } from "node:buffer";
import type { z } from "../../../deps/hono.ts";
import { RequestError } from "./errors.ts";
import { badField, type ObjectSchema, parse } from "./fields.ts";
import type { Held } from "./held.ts";

/** The most levels of JSON, and its most values. */
const MOST_DEPTH = 16;
const MOST_VALUES = 2 ** 14;
/** The most parts of a form, and blank lines: one ends the head of each part, and text may have others. */
const MOST_PARTS = 64;
const MOST_BLANK = 4 * MOST_PARTS;

/** Reads JSON. @throws {RequestError} It is something else, too deep or of too many values, or does not fit the schema. */
export async function readJson<Schema extends ObjectSchema>(
  request: Request,
  held: Held,
  most: number,
  schema: Schema,
): Promise<z.infer<Schema>> {
  if (typeOf(request) !== "application/json") {
    throw wrongType("application/json");
  }
  return parse(schema, jsonOf(await held.read(request, most)));
}

/** The media type of a body. */
export function typeOf(request: Request): string {
  return (request.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
}

/** The error of a body of another type. */
export function wrongType(wanted: string): RequestError {
  const message = `Cannot read the body: send ${wanted}, and say so in Content-Type`;
  return new RequestError(415, "wrong-type", message);
}

function jsonOf(bytes: Uint8Array): unknown {
  const refuse = (why: string): never => {
    throw new RequestError(400, "bad-json", `Cannot read the body: ${why}`);
  };
  // before they are all in memory
  if (hasMany(bytes)) refuse(`its JSON has more than ${MOST_VALUES} values`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    refuse("it is not JSON");
  }
  if (isDeep(value, MOST_DEPTH)) refuse(`its JSON has more than ${MOST_DEPTH} levels`);
  return value;
}

/** Whether JSON may have too many values: before each, but the first, is a comma or a bracket, and base64 has neither. */
function hasMany(bytes: Uint8Array): boolean {
  let left = MOST_VALUES;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if ((byte === 0x2c || byte === 0x5b || byte === 0x7b) && --left < 0) return true;
  }
  return false;
}

/** Whether values are nested in more levels; looks no deeper than that. */
function isDeep(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeep(inner, levels - 1));
}

/** The fields of a form: text as JSON would have it, and files as bytes. */
export interface Form<Fields> {
  readonly fields: Fields;
  /** By the name of their fields. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/**
 * Reads multipart/form-data. A name may come once; text may come several times as `name[]`, which is a list. Text stands
 * for itself where the schema takes it, and else for the JSON that it spells, or the list whose commas it has.
 *
 * @param names Fields that may be files; those of text are left in `fields`.
 * @throws {RequestError} As {@link readJson}.
 */
export async function readForm<Schema extends ObjectSchema>(
  request: Request,
  held: Held,
  most: number,
  schema: Schema,
  names: readonly string[],
): Promise<Form<z.infer<Schema>>> {
  if (typeOf(request) !== "multipart/form-data") throw wrongType("multipart/form-data");
  const bytes = await held.read(request, most);
  const crowded = () => {
    const message = `Cannot read the body: its form has more than ${MOST_PARTS} parts`;
    return new RequestError(400, "bad-form", message);
  };
  if (blankLines(bytes) > MOST_BLANK) throw crowded();
  const headers = { "content-type": request.headers.get("content-type")! };
  const data = await new Response(bytes, { headers }).formData().catch(() => {
    throw new RequestError(400, "bad-form", "Cannot read the body: its form is damaged");
  });
  const texts = new Map<string, string[]>();
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let parts = 0;
  for (const [key, value] of data) {
    if (++parts > MOST_PARTS) throw crowded();
    const name = key.replace(/\[\d*\]$/, "");
    const list = typeof value === "string" && name !== key ? texts.get(name) : undefined;
    if (list) list.push(value as string);
    else if (texts.has(name) || files.has(name)) throw badField(name, "it is given twice");
    else if (typeof value === "string") texts.set(name, [value]);
    else if (names.includes(name)) files.set(name, new Uint8Array(await value.arrayBuffer()));
    else if (Object.hasOwn(schema.shape, name)) throw badField(name, "it is a file");
  }
  const fields = [...texts].map(([name, all]) => [name, valueOf(schema, name, all.join(","))]);
  return { fields: parse(schema, Object.fromEntries(fields)), files };
}

/** Counts blank lines, no further than there may be. */
function blankLines({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>): number {
  const bytes = Buffer.from(buffer, byteOffset, length);
  let count = 0;
  for (let at = bytes.indexOf("\r\n\r\n"); at >= 0; at = bytes.indexOf("\r\n\r\n", at + 2)) {
    if (++count > MOST_BLANK) break;
  }
  return count;
}

/** What a field's text stands for. */
function valueOf(schema: ObjectSchema, name: string, text: string): unknown {
  const field = Object.hasOwn(schema.shape, name) ? schema.shape[name] as z.ZodType : undefined;
  if (!field || field.safeParse(text).success || hasMany(new TextEncoder().encode(text))) {
    return text;
  }
  for (const json of [text, `[${text}]`]) {
    try {
      return JSON.parse(json);
    } catch {
      // it may be the other
    }
  }
  return text;
}
