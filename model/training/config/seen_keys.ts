import { isRecord } from "../../config/check_value.ts";
import { nearest } from "../../config/nearest.ts";
import { refuseUnknown } from "./keys.ts";

/** Finds misspelt keys of an object whose reader ignores those that it does not know. */
export class SeenKeys {
  /** Every object within, by its path with a final dot, and the keys that were looked up in it. */
  readonly #objects: Map<string, { readonly keys: readonly string[]; readonly seen: Set<string> }> =
    new Map();

  /** Returns the object as its reader is to get it. */
  watch<T extends object>(object: T, path = ""): T {
    const { seen } = this.#objects.get(path) ?? { seen: new Set<string>() };
    this.#objects.set(path, { keys: Object.keys(object), seen });
    const note = (key: string | symbol) => typeof key === "string" && seen.add(key);
    return new Proxy(object, {
      get: (target, key) => {
        note(key);
        const value: unknown = Reflect.get(target, key);
        return isRecord(value) ? this.watch(value, `${path}${String(key)}.`) : value;
      },
      getOwnPropertyDescriptor(target, key) {
        note(key);
        return Reflect.getOwnPropertyDescriptor(target, key);
      },
    });
  }

  /** Refuses a key that nothing looked up, if one that was is near. @throws {ConfigError} `unknown-key`. */
  check(where: string, start: string): void {
    for (const [path, { keys, seen }] of this.#objects) {
      const known = [...seen].filter((key) => !keys.includes(key));
      for (const key of keys) {
        if (seen.has(key) || nearest(key, known) === undefined) continue;
        refuseUnknown(key, known, where, start + path);
      }
    }
  }
}
