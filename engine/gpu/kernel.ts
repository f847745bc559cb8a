import { KernelError } from "../base/errors.ts";
import type { Tensor, TensorDType } from "./tensor.ts";
import type { Texture } from "./texture.ts";

/** Constants (numbers, booleans) and type aliases (strings) that specialise a kernel, by name. */
export type Specialisation = Readonly<Record<string, number | boolean | string>>;

/** One binding as the WGSL declares it. */
export interface Binding {
  /** Name of the variable. */
  readonly name: string;
  /** Kind of resource that it takes. */
  readonly type: "read-only-storage" | "storage" | "texture";
  /** Element of its array, in vectors or alone: a scalar type or an alias; null of textures. */
  readonly element: string | null;
}

/** A tensor of floats has one of these. */
export type FloatDType = Extract<TensorDType, "f32" | "f16">;

/** One member of the WGSL's `struct Params`. */
export interface Param {
  /** Name of the member. */
  readonly name: string;
  /** Scalar type. */
  readonly type: "u32" | "i32" | "f32";
}

/**
 * A compute kernel: WGSL source whose bindings and parameters are read from the source itself.
 *
 * A kernel file follows these conventions: everything is in group 0; binding 0 is `var<uniform> params: Params`, whose
 * members are scalars of 4 bytes; the other bindings are storage arrays or read-only storage textures, numbered 1, 2,
 * …; the entry point is `main`. A dispatch puts a prelude of `const`, `alias` and `fn` lines in front of it.
 */
export interface Kernel<B extends string = string, P extends string = string> {
  /** Name in profiles and messages: that of the file. */
  readonly name: string;
  /** Text of the WGSL file. */
  readonly source: string;
  /** Bindings in order, from binding 1. */
  readonly bindings: readonly (Binding & { readonly name: B })[];
  /** Parameters in the order of the uniform struct. */
  readonly params: readonly (Param & { readonly name: P })[];
}

/** The work of a dispatch, for profiles. */
export interface Work {
  /** Extents that distinguish it from other dispatches of its kernel, such as [M, K, N]. */
  readonly shape?: readonly number[];
  /** Number of multiplications and additions. */
  readonly flops?: number;
  /** Bytes that must be moved at least once; those of all bound tensors if absent. */
  readonly bytes?: number;
}

/** Arguments of one dispatch of a kernel. */
export interface Dispatch<B extends string = string, P extends string = string> {
  /** Becomes the `const` and `alias` lines of the prelude. */
  readonly specialise?: Specialisation;
  /** More lines of the prelude: small functions such as a load or an epilogue. */
  readonly functions?: string;
  /**
   * A tensor or texture for each binding; null for one that this specialisation does not use. Where the WGSL declares
   * f32 or f16, the tensor must be of it.
   */
  readonly bind: Readonly<Record<B, Tensor | Texture | null>>;
  /** A value for each parameter. */
  readonly params: Readonly<Record<P, number>>;
  /** Numbers of workgroups along x, y and z; 1 where absent. */
  readonly workgroups: readonly [number, number?, number?];
  /** What it does, for profiles. */
  readonly work?: Work;
}

const BINDING =
  /@group\(0\)\s*@binding\((\d+)\)\s*var(?:<(uniform|storage)(?:,\s*(read|read_write))?>)?\s+(\w+)\s*:(?:\s*array<(?:vec\d<)?(\w+))?/g;

/**
 * Defines a kernel from its WGSL text. `bindings` and `params` name what a launcher passes; they must be those that the
 * text declares, in the same order.
 *
 * @example Double five numbers
 * ```ts
 * import { defineKernel, Device } from "@bitwise/infinity/engine";
 *
 * const double = defineKernel(
 *   "double",
 *   `struct Params { count: u32 }
 *   @group(0) @binding(0) var<uniform> params: Params;
 *   @group(0) @binding(1) var<storage, read_write> x: array<f32>;
 *   @compute @workgroup_size(64)
 *   fn main(@builtin(global_invocation_id) id: vec3<u32>) {
 *     if (id.x < params.count) { x[id.x] *= 2; }
 *   }`,
 *   ["x"],
 *   ["count"],
 * );
 * using device = await Device.open();
 * const x = device.from("f32", [5], Float32Array.of(1, 2, 3, 4, 5));
 * device.run(double, { bind: { x }, params: { count: 5 }, workgroups: [1] });
 * console.log(await device.read(x)); // 2, 4, 6, 8, 10
 * ```
 *
 * @throws {KernelError} `bad-kernel`: the names differ from those in the WGSL, or bindings are not numbered in order.
 */
export function defineKernel<const B extends string, const P extends string>(
  name: string,
  source: string,
  bindings: readonly B[],
  params: readonly P[],
): Kernel<B, P> {
  const found: (Binding & { name: B })[] = [];
  for (const [, index, space, access, variable, element = null] of source.matchAll(BINDING)) {
    if (space === "uniform") continue;
    if (Number(index) !== found.length + 1) {
      throw new KernelError("bad-kernel", `Kernel ${name}: binding ${index} is out of order`);
    }
    const type = space === undefined
      ? "texture"
      : access === "read_write"
      ? "storage"
      : "read-only-storage";
    found.push({ name: variable as B, type, element });
  }
  const body = /struct Params\s*\{([^}]*)\}/.exec(source)?.[1] ?? "";
  const members = [...body.matchAll(/(\w+)\s*:\s*(u32|i32|f32)\s*,?/g)]
    .map(([, name, type]) => ({ name: name as P, type: type as Param["type"] }));
  for (
    const [what, got, want] of [
      ["bindings", found.map((b) => b.name), bindings],
      ["params", members.map((p) => p.name), params],
    ] as const
  ) {
    if (got.join() !== want.join()) {
      throw new KernelError(
        "bad-kernel",
        `Kernel ${name}: ${what} in WGSL are ${got}, the launcher names ${want}`,
      );
    }
  }
  return { name, source, bindings: found, params: members };
}

/**
 * Splits a number of workgroups over x and y where it exceeds the limit of one dimension, 65,535. The product may
 * exceed `count`: a kernel skips what is beyond.
 *
 * @example
 * ```ts
 * import { grid } from "@bitwise/infinity/engine";
 *
 * const [x, y] = grid(200_000); // 65,535 by 4: a few too many, which the kernel skips
 * console.log(x * y);
 * ```
 */
export function grid(count: number): [number, number] {
  const x = Math.min(count, 65535);
  return [x, Math.ceil(count / Math.max(1, x))];
}

/**
 * Returns the complete WGSL of a specialised kernel. `enableSubgroups`: whether the implementation requires that line
 * (Dawn) or rejects it (wgpu).
 */
export function shaderText(
  kernel: Kernel,
  specialise: Specialisation,
  functions: string,
  enableSubgroups: boolean,
): string {
  const lines: string[] = [];
  if (Object.values(specialise).some((v) => String(v).includes("f16"))) lines.push("enable f16;");
  const text = kernel.source + functions;
  if (enableSubgroups && /\bsubgroup[A-Z]/.test(text)) lines.push("enable subgroups;");
  if (/\bsubgroupMatrix/.test(text)) lines.push("enable chromium_experimental_subgroup_matrix;");
  for (const [name, value] of Object.entries(specialise)) {
    lines.push(
      typeof value === "string" ? `alias ${name} = ${value};` : `const ${name} = ${value};`,
    );
  }
  return `${lines.join("\n")}\n${functions}\n${kernel.source}`;
}

/** Returns which float each binding of a specialised kernel holds; null where it holds none, or the text does not say. */
export function floatsOf(kernel: Kernel, specialise: Specialisation): (FloatDType | null)[] {
  return kernel.bindings.map(({ element }) => {
    const type = /\bf(?:16|32)\b/.exec(`${specialise[element ?? ""] ?? element}`)?.[0];
    return type as FloatDType | undefined ?? null;
  });
}

/** What a memoised function returned for the arguments that lead here, and where further arguments lead. */
interface Memo<T> {
  value?: T;
  readonly next: Map<unknown, Memo<T>>;
}

/**
 * Memoises a function that generates prelude lines, or what else goes into a shader. They are long, and a launcher
 * needs them at every dispatch to find its pipeline, soonest if they are the same objects.
 */
export function memoised<
  A extends readonly (string | number | boolean)[],
  T extends string | object = string,
>(make: (...args: A) => T): (...args: A) => T {
  const root: Memo<T> = { next: new Map() };
  return (...args) => {
    let memo = root;
    for (const arg of args) {
      let next = memo.next.get(arg);
      if (!next) memo.next.set(arg, next = { next: new Map() });
      memo = next;
    }
    return memo.value ??= make(...args);
  };
}
