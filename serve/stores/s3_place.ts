import { InputError, quote, readEnv } from "../../engine/mod.ts";
import { shownPlace } from "./shown_place.ts";

/** Where an S3-compatible store is, and who asks. */
export interface S3Place {
  /** The bucket's address, such as `https://s3.eu-west-1.amazonaws.com/pictures`. */
  readonly address: string;
  /** What comes before names: empty, or ends in `/`. */
  readonly prefix: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary keys. */
  readonly sessionToken?: string;
}

const FORM =
  "s3://BUCKET/PREFIX?endpoint=URL&region=REGION, of which PREFIX and the rest may be absent";

/**
 * Reads `s3://BUCKET/PREFIX?endpoint=URL&region=REGION`. The keys are those of the variables that AWS's tools read:
 * `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`.
 *
 * @param env Reads a variable.
 * @throws {InputError} `bad-store`, `no-keys`
 */
export function readS3Place(
  text: string,
  env: (name: string) => string | undefined = readEnv,
): S3Place {
  const url = URL.parse(text);
  const shown = quote(shownPlace(text));
  const refuse = (why: string): never => {
    throw new InputError(
      "bad-store",
      `Cannot use ${shown} as a store: ${why}; write ${FORM}`,
    );
  };
  if (url?.protocol !== "s3:") return refuse("it is not such a URL");
  if (url.username || url.password) refuse("keys belong in the environment");
  const bucket = url.hostname;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) refuse("its bucket has no valid name");
  const path = url.pathname.replace(/^\/+|\/+$/g, "");
  if (!/^([A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*)?$/.test(path)) {
    refuse("its prefix may have letters, digits, -, _, dots and single slashes");
  }
  for (const key of url.searchParams.keys()) {
    // not named: it may be the end of a password
    if (key !== "endpoint" && key !== "region") refuse("it has a parameter of another name");
  }
  const region = url.searchParams.get("region") || env("AWS_REGION") || "us-east-1";
  if (!/^[a-z0-9-]{1,40}$/.test(region)) refuse(`the region ${quote(region)} has no valid name`);
  const endpoint = URL.parse(
    url.searchParams.get("endpoint") || `https://s3.${region}.amazonaws.com`,
  );
  if (!endpoint || !/^https?:$/.test(endpoint.protocol)) return refuse("its endpoint is not a URL");
  if (endpoint.search || endpoint.hash || endpoint.username || endpoint.password) {
    refuse("its endpoint may have a host, a port and a path");
  }
  const accessKeyId = env("AWS_ACCESS_KEY_ID");
  const secretAccessKey = env("AWS_SECRET_ACCESS_KEY");
  if (!accessKeyId || !secretAccessKey) {
    throw new InputError(
      "no-keys",
      `Cannot use ${shown}: there are no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`,
    );
  }
  return {
    address: `${endpoint.href.replace(/\/+$/, "")}/${bucket}`,
    prefix: path && `${path}/`,
    region,
    accessKeyId,
    secretAccessKey,
    sessionToken: env("AWS_SESSION_TOKEN") || undefined,
  };
}
