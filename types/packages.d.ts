// Types of the npm packages that ship none, for what we use of them, so that `assert` narrows and
// nothing is silently `any` (tests/types_test.ts holds it to that). deno-std is @std as bare JavaScript.

// The @jsquash packages' own types lean on a global that they do not declare: `init` takes `any`.
declare module "@jsquash/jpeg/decode" {
  import type { DecoderOptions } from "@jsquash/webp/decode";
  /** Makes the instance that later calls of {@link decode} use, in place of the last one. */
  export function init(options: DecoderOptions): Promise<void>;
  export default function decode(
    file: Uint8Array,
    options?: { preserveOrientation?: boolean },
  ): Promise<ImageData>;
}

declare module "@jsquash/webp/decode" {
  /** Of Emscripten's options, the ones used here. */
  export interface DecoderOptions {
    print?: (line: string) => void;
    printErr?: (line: string) => void;
    onRuntimeInitialized?: () => void;
  }
  /** Makes the instance that later calls of {@link decode} use, in place of the last one. */
  export function init(options: DecoderOptions): Promise<void>;
  export default function decode(file: Uint8Array): Promise<ImageData>;
}

declare module "@std/assert" {
  // deno-lint-ignore no-explicit-any
  type Class<T = unknown> = abstract new (...args: any[]) => T;

  export class AssertionError extends Error {
    constructor(message: string, options?: ErrorOptions);
  }
  export function assert(expr: unknown, msg?: string): asserts expr;
  export function assertFalse(expr: unknown, msg?: string): asserts expr is false;
  export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T>;
  export function assertEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertStrictEquals<T>(
    actual: unknown,
    expected: T,
    msg?: string,
  ): asserts actual is T;
  export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void;
  export function assertAlmostEquals(
    actual: number,
    expected: number,
    tolerance?: number,
    msg?: string,
  ): void;
  export function assertGreater<T>(actual: T, expected: T, msg?: string): void;
  export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertLess<T>(actual: T, expected: T, msg?: string): void;
  export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void;
  export function assertArrayIncludes<T>(
    actual: ArrayLike<T>,
    expected: ArrayLike<T>,
    msg?: string,
  ): void;
  export function assertStringIncludes(actual: string, expected: string, msg?: string): void;
  export function assertMatch(actual: string, expected: RegExp, msg?: string): void;
  export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void;
  export function assertObjectMatch(
    actual: Record<PropertyKey, unknown>,
    expected: Record<PropertyKey, unknown>,
    msg?: string,
  ): void;
  export function assertInstanceOf<T>(
    actual: unknown,
    expected: Class<T>,
    msg?: string,
  ): asserts actual is T;
  export function assertNotInstanceOf<A, T>(
    actual: A,
    unexpected: Class<T>,
    msg?: string,
  ): asserts actual is Exclude<A, T>;
  export function assertIsError<E extends Error = Error>(
    error: unknown,
    ErrorClass?: Class<E>,
    msgMatches?: string | RegExp,
    msg?: string,
  ): asserts error is E;
  export function assertThrows(fn: () => unknown, msg?: string): unknown;
  export function assertThrows<E extends Error = Error>(
    fn: () => unknown,
    ErrorClass: Class<E>,
    msgIncludes?: string,
    msg?: string,
  ): E;
  export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
  export function assertRejects<E extends Error = Error>(
    fn: () => PromiseLike<unknown>,
    ErrorClass: Class<E>,
    msgIncludes?: string,
    msg?: string,
  ): Promise<E>;
  export function equal(a: unknown, b: unknown): boolean;
  export function fail(msg?: string): never;
  export function unimplemented(msg?: string): never;
  export function unreachable(reason?: string): never;
}

declare module "@std/cli/parse-args" {
  /** Options of {@link parseArgs}; an alias is read under the name it stands for. */
  export interface ParseOptions<B extends string, S extends string, C extends string, D> {
    boolean?: B | readonly B[];
    string?: S | readonly S[];
    collect?: C | readonly C[];
    default?: D;
    negatable?: string | readonly string[];
    alias?: Record<string, string | readonly string[]>;
    stopEarly?: boolean;
    "--"?: boolean;
    unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }

  type Flag<K extends string, T, C extends string, D> = K extends C ? T[]
    : K extends keyof D ? T | D[K]
    : T | undefined;

  export type Args<B extends string, S extends string, C extends string, D> =
    & { [K in S]: Flag<K, string, C, D> }
    & { [K in B]: K extends C ? boolean[] : boolean }
    & { [K in Exclude<keyof D, B | S>]: D[K] }
    & { _: (string | number)[]; "--"?: string[] };

  export function parseArgs<
    B extends string = never,
    S extends string = never,
    C extends string = never,
    D extends object = Record<never, never>,
  >(args: readonly string[], options?: ParseOptions<B, S, C, D>): Args<B, S, C, D>;
}

declare module "@std/path" {
  export interface ParsedPath {
    root: string;
    dir: string;
    base: string;
    ext: string;
    name: string;
  }
  export const SEPARATOR: "/" | "\\";
  export const DELIMITER: ":" | ";";
  export function basename(path: string | URL, suffix?: string): string;
  export function dirname(path: string | URL): string;
  export function extname(path: string | URL): string;
  export function format(path: Partial<ParsedPath>): string;
  export function fromFileUrl(url: string | URL): string;
  export function isAbsolute(path: string): boolean;
  export function join(path?: string | URL, ...paths: string[]): string;
  export function normalize(path: string | URL): string;
  export function parse(path: string): ParsedPath;
  export function relative(from: string, to: string): string;
  export function resolve(...paths: string[]): string;
  export function toFileUrl(path: string): URL;
}

// @types/pngjs drags in @types/node, over which `deno doc --lint` prints a page of warnings.
declare module "pngjs" {
  import type { Buffer } from "node:buffer";
  export class PNG {
    constructor(options?: { width?: number; height?: number; colorType?: 0 | 2 | 4 | 6 });
    width: number;
    height: number;
    /** RGBA, 8 bits each. */
    data: Uint8Array;
    static sync: {
      read(file: Buffer): PNG;
      write(png: PNG, options?: { colorType?: 0 | 2 | 4 | 6; deflateLevel?: number }): Buffer;
    };
  }
}
