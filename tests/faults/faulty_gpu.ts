/**
 * A WebGPU implementation that works as another does, apart from one call, which fails.
 *
 * @module
 */

import { DAWN } from "../backend.ts";

/** How a call fails. The last three come as events, as real ones do; `rejects` is for calls that return a promise. */
export const WAYS = ["throws", "rejects", "validation", "memory", "lost"] as const;
export type Way = typeof WAYS[number];

// deno-lint-ignore no-explicit-any -- WebGPU's objects by the names of their methods
type Any = any;

/** Calls that return a promise. */
const ASYNC = new Set(["requestAdapter", "requestDevice", "mapAsync", "onSubmittedWorkDone"]);

/** Arguments with which a device returns something invalid, as it does when it refuses the real ones. */
const INVALID: Readonly<Record<string, (given: Any) => unknown>> = {
  createBuffer: (given) => ({ ...given, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE }),
  createTexture: (given) => ({ ...given, size: [0, 0] }),
  createShaderModule: () => ({ code: "no shader" }),
  createBindGroupLayout: ({ entries }) => ({ entries: [...entries, entries[0]] }),
  createPipelineLayout: (given) => ({
    bindGroupLayouts: Array(99).fill(given.bindGroupLayouts[0]),
  }),
  createComputePipeline: (given) => ({
    ...given,
    compute: { ...given.compute, entryPoint: "nowhere" },
  }),
  createBindGroup: (given) => ({ ...given, entries: [] }),
  createView: () => ({ mipLevelCount: 99 }),
};

/** Methods of each kind of object that can fail. */
const METHODS = {
  device: [...Object.keys(INVALID).filter((name) => name !== "createView"), "createCommandEncoder"],
  queue: ["submit", "writeBuffer", "onSubmittedWorkDone"],
  buffer: ["mapAsync", "getMappedRange"],
  texture: ["createView"],
  encoder: ["beginComputePass", "copyBufferToBuffer", "copyBufferToTexture", "finish"],
  pass: ["setPipeline", "setBindGroup", "dispatchWorkgroups", "end"],
} as const;

/** What a call returns, if that can fail in turn. */
const RETURNS: Readonly<Record<string, keyof typeof METHODS>> = {
  createBuffer: "buffer",
  createTexture: "texture",
  createCommandEncoder: "encoder",
  beginComputePass: "pass",
};

/** Whether a call can fail in a way. */
export function canFail(call: string, way: Way): boolean {
  const returns = ASYNC.has(call);
  if (way === "rejects") return returns;
  if (call.startsWith("request")) return way === "throws";
  if (call === "getMappedRange") return way === "throws" || way === "lost";
  return true;
}

/** See the module. */
export class FaultyGpu {
  /** Takes the place of `navigator.gpu`. */
  readonly gpu: GPU;
  /** How often each method was called. */
  readonly counts: Record<string, number> = {};
  #fault: { readonly call: string; readonly n: number; readonly way: Way } | null = null;
  /** Loses the device that was opened last. */
  #lose: () => void = () => {};
  #report: (kind: "validation" | "memory") => void = () => {};
  /** Makes something invalid without a report of its own. */
  #scoped: <T>(make: () => T) => T = (make) => make();

  /** Works as `real` does, until it is told to fail. */
  constructor(real: GPU = navigator.gpu) {
    const wrapped = {
      requestAdapter: async (options?: GPURequestAdapterOptions) => {
        const adapter = await real.requestAdapter(options);
        if (adapter) this.#hook(adapter, "requestDevice", (device) => this.#wrap(device));
        return adapter;
      },
    };
    this.#hook(wrapped, "requestAdapter");
    this.gpu = wrapped as GPU;
  }

  /** Counts anew, and lets the n-th call of a method fail, counted from 0; only once. */
  arm(call: string, n: number, way: Way): void {
    this.reset();
    this.#fault = { call, n, way };
  }

  /** Counts anew; nothing fails. */
  reset(): void {
    for (const call in this.counts) delete this.counts[call];
    this.#fault = null;
  }

  /** Whether nothing is to fail any more. */
  get fired(): boolean {
    return this.#fault === null;
  }

  /** Loses the device that was opened last. */
  lose(): void {
    this.#lose();
  }

  #wrap(device: GPUDevice): void {
    const lost = Promise.withResolvers<unknown>();
    Object.defineProperty(device, "lost", { value: lost.promise });
    this.#lose = () => {
      device.destroy();
      lost.resolve({ reason: "unknown", message: "injected:\nthe bus fell off" });
    };
    const listeners: ((event: unknown) => void)[] = [];
    const listen = device.addEventListener.bind(device) as (...args: unknown[]) => void;
    (device as Any).addEventListener = (type: string, listener: (event: unknown) => void) => {
      listeners.push(listener);
      listen(type, listener);
    };
    this.#report = (kind) => {
      const name = kind === "memory" ? "GPUOutOfMemoryError" : "GPUValidationError";
      const error = { message: `injected ${kind}\nat this call`, constructor: { name } };
      const tell = () => {
        for (const listener of listeners) listener({ error });
      };
      // before the errors that follow from it: those come in a later turn, on Dawn in the call
      if (DAWN) tell();
      else queueMicrotask(tell);
    };
    this.#scoped = (make) => {
      device.pushErrorScope("validation");
      const made = make();
      device.popErrorScope().catch(() => {});
      return made;
    };
    for (const name of METHODS.device) this.#hook(device, name);
    for (const name of METHODS.queue) this.#hook(device.queue, name);
  }

  /** Returns what a refused call does: something invalid if it makes something, nothing if it does not. */
  #refuse(name: string, real: (...args: Any[]) => Any, args: Any[]): unknown {
    const invalid = INVALID[name];
    if (invalid) return this.#scoped(() => real(invalid(args[0])));
    return RETURNS[name] || name === "finish" ? real(...args) : undefined;
  }

  /** Lets a method of an object count and fail. Calls `made` with what its promise resolves to. */
  #hook(object: Any, name: string, made?: (result: Any) => void): void {
    const real = object[name].bind(object);
    object[name] = (...args: Any[]) => {
      const way = this.#next(name);
      if (way === "throws") throw new TypeError(`injected:\n${name} throws`);
      if (way === "rejects") return Promise.reject(new TypeError(`injected:\n${name} rejects`));
      if (way === "lost") this.#lose();
      let result;
      if (way === "validation" || way === "memory") {
        this.#report(way);
        if (name === "mapAsync") return Promise.reject(new DOMException("invalid"));
        result = this.#refuse(name, real, args);
        if (name === "onSubmittedWorkDone") return Promise.resolve();
      } else result = real(...args);
      const kind = RETURNS[name];
      if (kind) { for (const method of METHODS[kind]) this.#hook(result, method); }
      if (!made) return result;
      return result.then((value: unknown) => (value && made(value), value));
    };
  }

  #next(name: string): Way | null {
    const n = this.counts[name] ?? 0;
    this.counts[name] = n + 1;
    const fault = this.#fault;
    if (fault?.call !== name || fault.n !== n) return null;
    this.#fault = null;
    return fault.way;
  }
}
