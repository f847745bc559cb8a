import { InputError } from "../../engine/mod.ts";

/** Refuses: a browser computes hashes, but not at once. @throws {InputError} `no-lora`. */
export function sha256(_parts: Iterable<Uint8Array | Float32Array>): string {
  throw new InputError("no-lora", "Cannot add LoRA in a browser: convert the model with it");
}
