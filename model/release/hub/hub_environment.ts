/**
 * The environment variables of huggingface_hub, expanded as it does: `~`, `$NAME` and `${NAME}` in paths.
 *
 * @module
 */

import { join } from "../../../deps/@std/path.ts";
import { FileError, InputError, quote } from "../../../engine/mod.ts";
import { readSmallFile } from "../../checkpoint/files.ts";

/** The variables that are honoured, and what each is for. Those of an older name yield to those of a newer one. */
export const HUB_VARIABLES = {
  HF_HOME: "Folder of the cache and the token",
  XDG_CACHE_HOME: "Folder of the folder huggingface, without HF_HOME",
  HF_HUB_CACHE: "Folder of the cache alone",
  HUGGINGFACE_HUB_CACHE: "Older name of HF_HUB_CACHE",
  HF_TOKEN: "Token of an account",
  HUGGING_FACE_HUB_TOKEN: "Older name of HF_TOKEN",
  HF_TOKEN_PATH: "File that holds the token",
  HF_HUB_DISABLE_IMPLICIT_TOKEN: "Sends no token",
  HF_ENDPOINT: "URL of the hub",
  HF_HUB_OFFLINE: "Uses what is in the cache, and asks no one",
  TRANSFORMERS_OFFLINE: "The same",
  HF_HUB_DOWNLOAD_TIMEOUT: "Seconds to wait for the next bytes of a file",
  HF_HUB_ETAG_TIMEOUT: "Seconds to wait for an answer about files",
  HF_HUB_DISABLE_SYMLINKS: "Puts files into the cache without symbolic links",
  HF_HUB_DISABLE_PROGRESS_BARS: "Shows no progress of downloads",
  HF_HUB_USER_AGENT_ORIGIN: "Name that the hub is told",
} as const;

/** Reads an environment variable. */
export type Env = (name: string) => string | undefined;

/** What the environment says about the hub. */
export interface HubSettings {
  /** Folder of the cache. */
  readonly cache: string;
  readonly endpoint: string;
  readonly token?: string;
  readonly tokenAdvice?: string;
  readonly origin?: string;
  readonly offline: boolean;
  /** Milliseconds to wait for bytes of a file; absent if not set. */
  readonly patience?: number;
  /** Milliseconds to wait for an answer about files; absent if not set. */
  readonly answerPatience?: number;
  readonly symlinks: boolean;
  readonly progress: boolean;
}

/** A token has some 40 characters. */
const TOKEN_LIMIT = 4096;

/**
 * Reads all variables.
 *
 * @throws {InputError} `no-home`, `bad-value` or `bad-token`.
 * @throws {FileError} The file of the token exists, but cannot be read.
 */
export async function hubSettings(
  env: Env,
  os: typeof Deno.build.os = Deno.build.os,
): Promise<HubSettings> {
  const get = (...names: (keyof typeof HUB_VARIABLES)[]) => names.map(env).find((text) => text);
  const isSet = (...names: (keyof typeof HUB_VARIABLES)[]) =>
    /^(1|on|yes|true)$/i.test(get(...names) ?? "");
  const path = (name: keyof typeof HUB_VARIABLES) => {
    const text = get(name);
    return text && expand(text, env, os);
  };
  const home = () => {
    const given = path("HF_HOME");
    if (given) return given;
    const caches = path("XDG_CACHE_HOME") || join(userHome(env, os), ".cache");
    return join(caches, "huggingface");
  };
  const withheld = isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN");
  const readToken = async () =>
    get("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")?.trim() ||
    await tokenOf(path("HF_TOKEN_PATH") || join(home(), "token"));
  return {
    cache: path("HF_HUB_CACHE") || path("HUGGINGFACE_HUB_CACHE") || join(home(), "hub"),
    endpoint: get("HF_ENDPOINT") || "https://huggingface.co",
    token: withheld ? undefined : await readToken(),
    tokenAdvice: withheld ? "unset HF_HUB_DISABLE_IMPLICIT_TOKEN to send your token" : undefined,
    origin: get("HF_HUB_USER_AGENT_ORIGIN"),
    offline: isSet("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
    patience: seconds("HF_HUB_DOWNLOAD_TIMEOUT", env),
    answerPatience: seconds("HF_HUB_ETAG_TIMEOUT", env),
    symlinks: !isSet("HF_HUB_DISABLE_SYMLINKS"),
    progress: !isSet("HF_HUB_DISABLE_PROGRESS_BARS"),
  };
}

/**
 * Expands a path as Python's `expanduser` and `expandvars` do. Variables that are not set stay as they are.
 *
 * @throws {InputError} `no-home`: it begins with `~`, and the home folder is not known; or `~` is followed by a user.
 */
export function expand(path: string, env: Env, os: typeof Deno.build.os = Deno.build.os): string {
  const [, user, rest] = /^~([^/\\]*)(.*)$/s.exec(path) ?? [];
  if (user) {
    const message = `Cannot use ${
      quote(path)
    }: it is in the home of another user; write it in full`;
    throw new InputError("no-home", message);
  }
  const full = rest === undefined ? path : userHome(env, os) + rest;
  const posix = /\$(?:(\w+)|\{(\w+)\})/g;
  const named = os === "windows" ? new RegExp(`${posix.source}|%([\\w()]+)%`, "g") : posix;
  return full.replace(named, (text, a, b, c) => env(a ?? b ?? c) ?? text);
}

function userHome(env: Env, os: typeof Deno.build.os): string {
  const home = os === "windows" ? env("USERPROFILE") || env("HOME") : env("HOME");
  if (home) return home;
  throw new InputError("no-home", "Cannot find the cache: set HF_HOME to a folder for it");
}

function seconds(name: keyof typeof HUB_VARIABLES, env: Env): number | undefined {
  const text = env(name)?.trim();
  // huggingface_hub, too, takes its default for 0
  if (!text || text === "0") return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text) * 1000;
  throw new InputError(
    "bad-value",
    `Cannot use ${name} ${quote(text)}: it must be a whole number of seconds`,
  );
}

/** Reads the file of the token, if there is one. */
async function tokenOf(path: string): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await readSmallFile(path, TOKEN_LIMIT)).trim() || undefined;
  } catch (error) {
    if (error instanceof FileError && error.code === "file-not-found") return undefined;
    throw error;
  }
}
