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
