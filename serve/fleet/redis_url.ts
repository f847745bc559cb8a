import { InputError } from "../../engine/mod.ts";

/** The place of a Redis without its user, password and parameters, for messages. @throws {InputError} `bad-redis` */
export function shownRedis(url: string): string {
  const { protocol, host, pathname } = readUrl(url);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
}

function readUrl(url: string): URL {
  const read = URL.parse(url);
  if (read && /^rediss?:$/.test(read.protocol) && read.hostname && hasPlainEnd(read)) return read;
  throw new InputError(
    "bad-redis",
    "Cannot read the URL of Redis: it must be redis://HOST:PORT, or rediss:// for TLS, with " +
      "USER:PASSWORD@ before the host if there is a password, whose /, ?, # and @ are escaped " +
      "as %2F, %3F, %23 and %40",
  );
}

/** Whether what follows the host is not the rest of a password, one with a slash, say. */
function hasPlainEnd({ pathname, search, hash }: URL): boolean {
  return /^(\/\d*)?$/.test(pathname) && !`${search}${hash}`.includes("@");
}
