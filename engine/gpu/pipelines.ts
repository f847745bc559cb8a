import type { Capabilities } from "./adapter.ts";
import type { Debug } from "../base/debug.ts";
import { floatsOf, type Kernel, shaderText, type Specialisation } from "./kernel.ts";
import type { TexelFormat } from "./texture.ts";
import { checkWorkgroupMemory } from "./workgroup_memory.ts";

/** Where to find what an adapter offers, at the moment of a use. */
export interface AdapterFacts {
  /** What the adapter offers. */
  readonly capabilities: Capabilities;
}

/** How bindings are laid out. */
export interface Layout {
  /** For bind groups: uniform parameters with a dynamic offset, then the kernel's other bindings. */
  readonly bindings: GPUBindGroupLayout;
  /** For pipelines. */
  readonly pipeline: GPUPipelineLayout;
  /** Tells it from the other layouts of its device. */
  readonly id: number;
}

/** What a pipeline is made from. */
export interface Recipe {
  /** The kernel. */
  readonly kernel: Kernel;
  /** Constants and types. */
  readonly specialise: Specialisation;
  /** More lines of the prelude. */
  readonly functions: string;
  /** Formats of the textures that it binds, in order. */
  readonly formats: readonly TexelFormat[];
}

/** A specialised kernel, compiled. */
export interface Pipeline extends Recipe {
  /** The compiled shader. */
  readonly compiled: GPUComputePipeline;
  /** How it is bound. */
  readonly layout: Layout;
  /** What its bindings hold, see {@link floatsOf}. */
  readonly floats: ReturnType<typeof floatsOf>;
}

/** Whether two specialisations make the same text; both come from the same launcher. */
function same(a: Specialisation, b: Specialisation): boolean {
  if (a === b) return true;
  for (const name in a) if (a[name] !== b[name]) return false;
  for (const name in b) if (!(name in a)) return false;
  return true;
}

/** What is being compiled in the background, for all devices. */
const COMPILING = new Set<Promise<unknown>>();
let ending = false;

/**
 * Starts no further pipeline in the background, and waits for those that were started. A process must do this before it
 * exits: Dawn's threads would compile on while the process takes itself apart, and crash or wait forever.
 */
export async function endCompilations(): Promise<void> {
  ending = true;
  await Promise.allSettled(COMPILING);
}

/** Compiled pipelines of one device, by all the text that goes into a shader. */
export class PipelineCache {
  #device: GPUDevice;
  #adapter: AdapterFacts;
  #debug: Debug | null;
  #layouts: Map<string, Layout> = new Map();
  /** By source and functions: the hash of a text that is the same string each time is known. Lists are short. */
  #pipelines: Map<string, Map<string, Pipeline[]>> = new Map();
  #lastLayout = 0;
  /** Takes each pipeline and layout out again that was made since the last {@link PipelineCache.keep}. */
  #unproven: (() => void)[] = [];
  /** Number of pipelines compiled so far. */
  size = 0;

  /** `adapter`: what decides about a shader's text, and about whether it can run. */
  constructor(device: GPUDevice, adapter: AdapterFacts, debug: Debug | null = null) {
    this.#device = device;
    this.#adapter = adapter;
    this.#debug = debug;
  }

  /** Returns the pipeline of a specialised kernel; undefined if it was not compiled. */
  find(kernel: Kernel, specialise: Specialisation, functions: string): Pipeline | undefined {
    const list = this.#pipelines.get(kernel.source)?.get(functions);
    if (list === undefined) return undefined;
    for (const pipeline of list) if (same(pipeline.specialise, specialise)) return pipeline;
    return undefined;
  }

  /** Compiles a specialised kernel. */
  compile(recipe: Recipe): Pipeline {
    const { layout, descriptor } = this.#describe(recipe);
    return this.#add(recipe, layout, this.#device.createComputePipeline(descriptor));
  }

  /** Compiles a specialised kernel in the background, unless it was or is compiled meanwhile. */
  async prepare(recipe: Recipe): Promise<void> {
    const { kernel, specialise, functions } = recipe;
    const known = () => this.find(kernel, specialise, functions) !== undefined;
    if (known()) return;
    if (ending) return;
    const { layout, descriptor } = this.#describe(recipe);
    const compiling = this.#device.createComputePipelineAsync(descriptor);
    COMPILING.add(compiling);
    const compiled = await compiling.finally(() => COMPILING.delete(compiling));
    if (!known()) this.#add(recipe, layout, compiled);
  }

  /** Says that the GPU has refused nothing so far, so that all pipelines are good. */
  keep(): void {
    this.#unproven.length = 0;
  }

  /** Forgets the pipelines since {@link PipelineCache.keep}, one of which may be broken. */
  forget(): void {
    for (const remove of this.#unproven.splice(0)) remove();
  }

  /** All that was compiled. */
  *[Symbol.iterator](): Generator<Pipeline> {
    for (const byFunctions of this.#pipelines.values()) {
      for (const list of byFunctions.values()) yield* list;
    }
  }

  #describe({ kernel, specialise, functions, formats }: Recipe) {
    const { implementation, limits } = this.#adapter.capabilities;
    const code = shaderText(kernel, specialise, functions, implementation === "dawn");
    checkWorkgroupMemory(kernel.name, code, limits.maxComputeWorkgroupStorageSize!);
    this.#debug?.shader(kernel.name, specialise, code);
    const layout = this.#layout(kernel, formats);
    const module = this.#device.createShaderModule({ label: kernel.name, code });
    const compute = { module, entryPoint: "main" };
    return { layout, descriptor: { label: kernel.name, layout: layout.pipeline, compute } };
  }

  #add(recipe: Recipe, layout: Layout, compiled: GPUComputePipeline): Pipeline {
    const { kernel, specialise } = recipe;
    const { source } = kernel;
    const pipeline = { ...recipe, layout, compiled, floats: floatsOf(kernel, specialise) };
    let byFunctions = this.#pipelines.get(source);
    if (!byFunctions) this.#pipelines.set(source, byFunctions = new Map());
    let list = byFunctions.get(recipe.functions);
    if (!list) byFunctions.set(recipe.functions, list = []);
    list.push(pipeline);
    this.#unproven.push(() => list.splice(list.indexOf(pipeline), 1));
    this.size++;
    return pipeline;
  }

  #layout(kernel: Kernel, formats: readonly TexelFormat[]): Layout {
    // with the size of the parameters: without it wgpu 29 checks a dispatch against the size of the previous one
    const minBindingSize = kernel.params.length * 4;
    const key = [minBindingSize, ...kernel.bindings.map((b) => b.type), ...formats].join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      const rest = [...formats];
      const bindings = this.#device.createBindGroupLayout({
        entries: [
          {
            binding: 0,
            visibility: GPUShaderStage.COMPUTE,
            buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize },
          },
          ...kernel.bindings.map((b, i) => ({
            binding: i + 1,
            visibility: GPUShaderStage.COMPUTE,
            ...(b.type === "texture"
              ? { storageTexture: { access: "read-only" as const, format: rest.shift()! } }
              : { buffer: { type: b.type } }),
          })),
        ],
      });
      const pipeline = this.#device.createPipelineLayout({ bindGroupLayouts: [bindings] });
      layout = { bindings, pipeline, id: this.#lastLayout++ };
      this.#layouts.set(key, layout);
      this.#unproven.push(() => this.#layouts.delete(key));
    }
    return layout;
  }
}
