import { FLEET_FLAGS } from "./fleet_flags.ts";
import { MAKER_FLAGS } from "./maker_flags.ts";
import { type FlagType, integerFrom, path } from "./types.ts";
import type { Values } from "./flags.ts";

/** A name or an address. */
const host: FlagType<string> = {
  value: "HOST",
  need: "a name or an address, without a port",
  read: (given) => /^[a-z0-9.-]{1,253}$|^[0-9a-f:.]{2,45}$/i.test(given) ? given : undefined,
};

/** Where pages come from. */
const origin: FlagType<string> = {
  value: "ORIGIN",
  need: "an origin, such as https://example.org, or * for any",
  read: (given) => given === "*" || URL.parse(given)?.origin === given ? given : undefined,
};

/** The flags of `serve`. */
export const SERVE_FLAGS = {
  ...MAKER_FLAGS,
  "host": { type: host, help: "Address to listen on (127.0.0.1)" },
  "port": { type: integerFrom(0, 65_535), help: "Port to listen on (8080); 0 takes a free one" },
  "queue": { type: integerFrom(1, 100_000), help: "The most images that wait (64)" },
  "timeout": { type: integerFrom(1, 86_400), help: "The most seconds of a request (300)" },
  "max-images": { type: integerFrom(1, 1024), help: "The most images of a request (16)" },
  "max-pixels": {
    ...MAKER_FLAGS["max-pixels"],
    help: "Read images of at most N pixels (33554432)",
  },
  "token-file": { type: path, help: "File with the token that clients must send as their API key" },
  "allow-host": { type: host, many: true, help: "Answer under this name, too; repeat for more" },
  "cors": { type: origin, many: true, help: "Let pages of this origin call; repeat for more" },
  "url": {
    type: { ...origin, value: "URL" },
    help: "The server's address as clients know it, for URLs of images",
  },
  ...FLEET_FLAGS,
  "results": {
    type: { ...path, value: "STORE" },
    help: "Keep images behind URLs in a folder or s3://BUCKET/PREFIX (in memory)",
  },
} as const;

/** The values that were given for {@link SERVE_FLAGS}. */
export type ServeGiven = Values<typeof SERVE_FLAGS>;
