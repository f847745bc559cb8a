/** A browser on a site: what the tests of the tab share. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { buildSite } from "../../browser/build.ts";
import { NANO } from "../nano.ts";

const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript" };

/** A static file server that counts, as anyone might host the site. */
export interface Site extends AsyncDisposable {
  /** `http://localhost:…/`. */
  readonly url: string;
  /** Requests since it began, such as `GET /browser.html`. */
  readonly requests: string[];
  /** The path of a file that is sent only to its half, until its reader leaves; none if empty. */
  stalled: string;
}

/** Builds the site with emoji-nano, and serves it. */
export async function openSite(): Promise<Site> {
  const folder = await Deno.makeTempDir();
  await buildSite(folder, fromFileUrl(NANO));
  await Deno.writeTextFile(join(folder, "empty.html"), "<!doctype html><title>empty</title>");
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    requests.push(`${request.method} ${pathname}`);
    const bytes = await Deno.readFile(join(folder, pathname)).catch(() => null);
    if (!bytes) return new Response(null, { status: 404 });
    const headers = {
      "content-type": TYPES[pathname.split(".").at(-1)!] ?? "application/octet-stream",
      "content-length": `${bytes.length}`,
      etag: `"${bytes.length}"`,
    };
    if (request.method === "HEAD") return new Response(null, { headers });
    if (pathname !== site.stalled) return new Response(bytes, { headers });
    const half = new ReadableStream({
      start: (controller) => controller.enqueue(bytes.subarray(0, bytes.length / 2)),
    });
    return new Response(half, { headers });
  });
  const site: Site = {
    url: `http://localhost:${server.addr.port}/`,
    requests,
    stalled: "",
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
  return site;
}

/**
 * Checks that two implementations of WebGPU drew the same picture. Its bits are the same; the VAE's sums may differ in
 * their last digits, which shows where one lies between two levels: a byte in some thousands, by one.
 */
export function assertSamePixels(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  assertEquals(actual.length, expected.length);
  const off = Array.from(actual, (value, i) => Math.abs(value - expected[i]!)).filter(Boolean);
  const most = off.reduce((a, b) => Math.max(a, b), 0);
  assert(
    most <= 1 && off.length <= expected.length / 500,
    `${off.length} differ, by up to ${most}`,
  );
}
