import { InputError, quote } from "../../engine/mod.ts";
import { FolderStore } from "./folder_store.ts";
import { readS3Place } from "./s3_place.ts";
import { S3Store } from "./s3_store.ts";
import { shownPlace } from "./shown_place.ts";
import type { Store } from "./store.ts";

/**
 * Opens the store that a text names: a folder, or `s3://BUCKET/PREFIX?endpoint=URL&region=REGION`, whose keys are in
 * the environment.
 *
 * @throws {InputError} `bad-store`: it is neither; `no-keys`: the environment has no keys.
 */
export function openStore(text: string): Store {
  if (/^s3:/i.test(text)) return new S3Store(readS3Place(text));
  if (text && !/^[a-z0-9+.-]{2,}:\/\//i.test(text)) return new FolderStore(text);
  throw new InputError(
    "bad-store",
    `Cannot use ${quote(shownPlace(text))} as a store: name a folder, or s3://BUCKET/PREFIX`,
  );
}
