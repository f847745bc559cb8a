import { dirname, resolve } from "../../deps/@std/path.ts";

/** The names that systems give a process's own streams. */
const NAMES: Readonly<Record<string, 0 | 1 | 2>> = { stdin: 0, stdout: 1, stderr: 2 };
/** More links than a system follows. */
const MAX_LINKS = 40;

/**
 * Returns which of the process's streams a path means: `/dev/stdout`, `/proc/self/fd/1`, or a link that leads there.
 * Opening such a path again needs more permissions, and writes a redirected file from its start.
 */
export async function standardStream(path: string): Promise<0 | 1 | 2 | undefined> {
  let at = resolve(path);
  for (let i = 0; i < MAX_LINKS; i++) {
    const [, name, fd] =
      /^\/dev\/(std(?:in|out|err))$|^\/(?:dev|proc\/self)\/fd\/([012])$/.exec(at) ??
        [];
    if (name !== undefined) return NAMES[name];
    if (fd !== undefined) return Number(fd) as 0 | 1 | 2;
    const next = await Deno.readLink(at).catch(() => null);
    if (next === null) return undefined;
    at = resolve(dirname(at), next);
  }
  return undefined;
}
