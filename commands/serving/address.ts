/**
 * Where a server listens, and who may call it.
 *
 * @module
 */

import { UsageError } from "../flags/flags.ts";
import { readText } from "../io/input.ts";
import type { Io } from "../io/io.ts";
import { FileError, quote } from "../../engine/mod.ts";

/** The fewest characters of a token: 16 hexadecimal digits hold 64 bits. */
const SHORTEST = 16;

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(host);
}

/**
 * Reads the token of clients: the file's first line.
 *
 * @throws {FileError} The file cannot be read.
 * @throws {UsageError} It has no token that is long enough.
 */
export async function readToken(path: string, io: Io): Promise<string> {
  const [line = ""] = (await readText(path, io)).split(/\r?\n/);
  const token = line.trim();
  if (/^[!-~]+$/.test(token) && token.length >= SHORTEST) return token;
  throw new UsageError(
    `Cannot use the token of ${quote(path)}: its first line must be ${SHORTEST} or more ` +
      "characters without spaces, such as those of openssl rand -hex 32",
  );
}

/** Says why a server cannot listen. */
export function listenError(error: unknown, host: string, port: number): unknown {
  const place = `${host}:${port}`;
  const refuse = (why: string) =>
    new FileError("cannot-listen", `Cannot listen on ${place}: ${why}`, { cause: error });
  if (error instanceof Deno.errors.AddrInUse) {
    return refuse("the port is in use; choose another with --port");
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return refuse("this machine does not have that address");
  }
  if (error instanceof Deno.errors.PermissionDenied) return refuse("permission denied");
  return error;
}
