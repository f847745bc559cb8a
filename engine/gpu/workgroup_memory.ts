import { KernelError } from "../base/errors.ts";

/** Subgroup matrices are loaded and stored by pointers and strides of this many bytes. */
const MATRIX_ALIGN = 16;

/** Types without parameters. */
const SCALARS: Readonly<Record<string, number>> = { f32: 4, i32: 4, u32: 4, f16: 2, bool: 4 };
const SUFFIXES: Readonly<Record<string, string>> = { f: "f32", i: "i32", u: "u32", h: "f16" };

/** The bytes of a type in memory. */
interface Layout {
  readonly size: number;
  readonly align: number;
  /** The type of an array's elements; that of the values of an atomic or a vector is its own. */
  readonly element?: Layout;
}

/** A variable in workgroup memory. */
export interface WorkgroupVariable {
  /** Its name. */
  readonly name: string;
  /** Bytes that it takes. */
  readonly bytes: number;
}

const roundUp = (n: number, step: number) => Math.ceil(n / step) * step;

/** A shader uses what this file does not know. */
class Unknown extends Error {}

/** The parts of a shader's module scope that decide about sizes. */
class Module {
  /** Names, types and address spaces of variables. */
  readonly variables: readonly { name: string; space: string; type: string }[];
  #constants: Map<string, string>;
  #aliases: Map<string, string>;
  #structs: Map<string, string>;

  constructor(code: string) {
    this.#structs = new Map(
      Array.from(
        code.matchAll(/\bstruct\s+(\w+)\s*\{([^}]*)\}/g),
        ([, name, body]) => [name!, body!],
      ),
    );
    let scope = code;
    for (let before = ""; before !== scope;) { // leaves no bodies, innermost first
      before = scope;
      scope = scope.replace(/\{[^{}]*\}/g, ";");
    }
    const all = (pattern: RegExp) =>
      new Map(Array.from(scope.matchAll(pattern), ([, name, text]) => [name!, text!]));
    this.#constants = all(/\bconst\s+(\w+)\s*(?::[^=;]*)?=([^;]*);/g);
    this.#aliases = all(/\balias\s+(\w+)\s*=([^;]*);/g);
    this.variables = Array.from(
      scope.matchAll(/\bvar\s*<\s*(\w+)[^>]*>\s*(\w+)\s*:\s*([^;=]*)/g),
      ([, space, name, type]) => ({ space: space!, name: name!, type: type! }),
    );
  }

  /** Returns the value of a constant expression. Throws {@link Unknown} for what it cannot read. */
  value(text: string): number {
    const reader = new Reader(text, this);
    const value = reader.sum();
    reader.end();
    return value;
  }

  /** Returns the layout of a type. Throws {@link Unknown} for what it cannot read. */
  layout(text: string): Layout {
    const reader = new Reader(text, this);
    const layout = reader.type();
    reader.end();
    return layout;
  }

  constant(name: string): number {
    const text = this.#constants.get(name);
    if (text === undefined) throw new Unknown(name);
    return this.value(text);
  }

  named(name: string): Layout {
    const size = SCALARS[name];
    if (size !== undefined) return { size, align: size };
    const alias = this.#aliases.get(name);
    if (alias !== undefined) return this.layout(alias);
    const struct = this.#structs.get(name);
    if (struct === undefined || struct.includes("@")) throw new Unknown(name);
    const layout = { size: 0, align: 1 };
    for (const [, type] of struct.matchAll(/\w+\s*:\s*((?:[^,<]|<[^:]*>)+)(?:,|$)/g)) {
      const { size, align } = this.layout(type!);
      layout.size = roundUp(layout.size, align) + size;
      layout.align = Math.max(layout.align, align);
    }
    return { ...layout, size: roundUp(layout.size, layout.align) };
  }
}

/** Reads types and constant expressions. */
class Reader {
  #tokens: readonly string[];
  #at = 0;

  constructor(text: string, private readonly module: Module) {
    this.#tokens = text.match(/0[xX][\da-fA-F]+|[\d.]+(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\S/g) ?? [];
  }

  #next(): string {
    return this.#tokens[this.#at++] ?? "";
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw new Unknown(token);
  }

  end(): void {
    if (this.#at < this.#tokens.length) throw new Unknown(this.#next());
  }

  sum(): number {
    let value = this.#product();
    while (true) {
      if (this.#take("+")) value += this.#product();
      else if (this.#take("-")) value -= this.#product();
      else return value;
    }
  }

  #product(): number {
    let value = this.#factor();
    while (true) {
      if (this.#take("*")) value *= this.#factor();
      else if (this.#take("/")) value = Math.trunc(value / this.#factor());
      else if (this.#take("%")) value %= this.#factor();
      else return value;
    }
  }

  #factor(): number {
    if (this.#take("-")) return -this.#factor();
    if (this.#take("(")) return this.#closed(this.sum());
    const token = this.#next();
    if (/^\d/.test(token)) {
      if (!/^(0[xX][\da-fA-F]+|\d+)$/.test(token)) throw new Unknown(token); // sizes are whole numbers
      const value = Number(token);
      if (!this.#take("u")) this.#take("i");
      return value;
    }
    if (!this.#take("(")) return this.module.constant(token);
    if (token === "u32" || token === "i32") return this.#closed(this.sum());
    if (token !== "min" && token !== "max") throw new Unknown(token);
    const first = this.sum();
    this.#expect(",");
    const second = this.sum();
    this.#take(",");
    return this.#closed(Math[token](first, second));
  }

  #closed(value: number): number {
    this.#expect(")");
    return value;
  }

  type(): Layout {
    const name = this.#next();
    if (!this.#take("<")) return this.#short(name);
    const inner = this.type();
    let layout: Layout;
    if (name === "array") {
      const stride = roundUp(inner.size, inner.align);
      const count = this.#take(",") && this.#tokens[this.#at] !== ">" ? this.sum() : Infinity;
      layout = { size: stride * count, align: inner.align, element: { ...inner, size: stride } };
    } else if (name === "atomic") layout = inner;
    else layout = composite(name, inner.size);
    this.#take(",");
    this.#expect(">");
    return layout;
  }

  /** `f32`, `vec4f`, an alias or a struct. */
  #short(name: string): Layout {
    const [, whole, suffix] = /^(vec[234]|mat[234]x[234])([fiuh])$/.exec(name) ?? [];
    return whole ? composite(whole, SCALARS[SUFFIXES[suffix!]!]!) : this.module.named(name);
  }
}

/** The layout of `vec3` or `mat2x4` with components of `bytes`. */
function composite(name: string, bytes: number): Layout {
  const [, columns, rows] = /^(?:vec|mat([234])x)([234])$/.exec(name) ?? [];
  if (!rows) throw new Unknown(name);
  const align = bytes * (rows === "2" ? 2 : 4);
  return { size: columns ? Number(columns) * align : Number(rows) * bytes, align };
}

/** The module of a shader's text, without its comments. */
function parse(code: string): Module {
  return new Module(code.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, " "));
}

/**
 * Counts the bytes of each workgroup variable of a complete shader.
 *
 * @throws {KernelError} `bad-kernel`: a type or a length is beyond this count.
 */
export function workgroupVariables(kernel: string, code: string): WorkgroupVariable[] {
  return variablesOf(kernel, parse(code));
}

function variablesOf(kernel: string, module: Module): WorkgroupVariable[] {
  return module.variables.filter(({ space }) => space === "workgroup").map(({ name, type }) => {
    try {
      return { name, bytes: module.layout(type).size };
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      throw new KernelError(
        "bad-kernel",
        `Kernel ${kernel}: cannot count the bytes of ${name}, because of ${error.message}; ` +
          "write its length with constants, + - * / %, min and max",
      );
    }
  });
}

/**
 * Checks what no implementation checks in full: that workgroup variables fit the adapter together (wgpu hangs if they
 * do not), and, where a shader has subgroup matrices, that each begins and strides by whole units of 16 bytes (others
 * are read from wrong places in silence).
 *
 * @param kernel Name for messages.
 * @param code The complete shader.
 * @param limit The adapter's `maxComputeWorkgroupStorageSize`.
 * @throws {KernelError} `workgroup-memory` or `misaligned`.
 */
export function checkWorkgroupMemory(kernel: string, code: string, limit: number): void {
  if (!/var\s*<\s*workgroup/.test(code)) return;
  const module = parse(code);
  const variables = variablesOf(kernel, module);
  const bytes = variables.reduce((sum, variable) => sum + roundUp(variable.bytes, 16), 0);
  if (bytes > limit) {
    throw new KernelError(
      "workgroup-memory",
      `Kernel ${kernel} needs ${bytes} bytes of workgroup memory, the adapter has ${limit}`,
    );
  }
  if (!code.includes("subgroupMatrix")) return;
  for (const variable of variables) {
    if (variable.bytes % MATRIX_ALIGN === 0) continue;
    throw new KernelError(
      "misaligned",
      `Kernel ${kernel}: ${variable.name} has ${variable.bytes} bytes; beside subgroup matrices, ` +
        `make each workgroup variable a multiple of ${MATRIX_ALIGN}`,
    );
  }
  checkMatrices(kernel, code, module);
}

/** Checks the strides, and the offsets, of subgroup matrices that are constant. */
function checkMatrices(kernel: string, code: string, module: Module): void {
  for (const [call] of code.matchAll(/\bsubgroupMatrix(?:Load|Store)\s*<[^;]*;/g)) {
    const [pointer = "", offset = "", ...rest] = argumentsOf(call);
    const type = module.variables.find(({ name }) => `&${name}` === pointer)?.type;
    for (const place of type === undefined ? [] : [offset, rest.at(-1)!]) {
      const bytes = known(() => module.layout(type!).element!.size * module.value(place));
      if (bytes === undefined || bytes % MATRIX_ALIGN === 0) continue;
      throw new KernelError(
        "misaligned",
        `Kernel ${kernel}: ${place} is ${bytes} bytes in ${call}, a subgroup matrix needs whole ` +
          `units of ${MATRIX_ALIGN}`,
      );
    }
  }
}

/** Splits what is between the parentheses of a call at its own commas. */
function argumentsOf(call: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const char of call.slice(call.indexOf("("))) {
    if (char === ")" && --depth === 0) break;
    if (depth === 1 && char === ",") parts.push("");
    else if (depth > 0) parts[parts.length - 1] += char;
    if (char === "(") depth++;
  }
  return parts.map((part) => part.trim());
}

function known(read: () => number): number | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}
