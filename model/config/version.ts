import manifest from "../../deno.json" with { type: "json" };

/**
 * Version of this package.
 *
 * @example
 * ```ts
 * import { VERSION } from "@bitwise/infinity";
 *
 * console.log(`bitwise ${VERSION}`);
 * ```
 */
export const VERSION: string = manifest.version;
