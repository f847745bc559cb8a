import type { Layout } from "./pipelines.ts";

/** Number of groups at which all are forgotten: enough for an image of a large model, and still little memory. */
const MAX_GROUPS = 16384;

/** What a dispatch binds, from binding 1 on. One object serves all dispatches, which fill it in turn. */
export interface Bound {
  /** Buffers, and views of textures. */
  readonly objects: (GPUBuffer | GPUTextureView)[];
  /** Byte offset in each buffer; 0 for a view. */
  readonly offsets: number[];
  /** Bytes of each buffer; 0 for a view. */
  readonly sizes: number[];
}

/** A group, and the next of those whose hashes are equal. */
interface Entry extends Bound {
  readonly layout: Layout;
  readonly group: GPUBindGroup;
  readonly next: Entry | undefined;
}

function mix(hash: number, value: number): number {
  const product = Math.imul(hash ^ value, 0x9e3779b1);
  return product ^ product >>> 15;
}

function binds(entry: Entry, layout: Layout, { objects, offsets, sizes }: Bound): boolean {
  if (entry.layout !== layout) return false;
  for (let i = 0; i < objects.length; i++) {
    if (
      entry.objects[i] !== objects[i] || entry.offsets[i] !== offsets[i] ||
      entry.sizes[i] !== sizes[i]
    ) return false;
  }
  return true;
}

/** Caches the bind groups of one device by their resources: pooled memory comes back in the same order. */
export class BindGroups {
  #device: GPUDevice;
  #uniforms: GPUBuffer;
  #entries: Map<number, Entry> = new Map();
  #size = 0;
  #ids: WeakMap<object, number> = new WeakMap();
  #last = 0;

  /** Makes an empty cache for one device, whose parameters are all in `uniforms`. */
  constructor(device: GPUDevice, uniforms: GPUBuffer) {
    this.#device = device;
    this.#uniforms = uniforms;
  }

  /** Returns the number of an object, which no other object ever gets. */
  #id(object: object): number {
    let id = this.#ids.get(object);
    if (id === undefined) this.#ids.set(object, id = ++this.#last);
    return id;
  }

  /** Returns the group of a layout that binds `paramsBytes` of parameters, and what is bound. */
  group(layout: Layout, paramsBytes: number, bound: Bound): GPUBindGroup {
    const { objects, offsets, sizes } = bound;
    let hash = layout.id;
    for (let i = 0; i < objects.length; i++) {
      hash = mix(mix(mix(hash, this.#id(objects[i]!)), offsets[i]!), sizes[i]!);
    }
    const first = this.#entries.get(hash);
    for (let entry = first; entry; entry = entry.next) {
      if (binds(entry, layout, bound)) return entry.group;
    }
    return this.#make(hash, layout, paramsBytes, bound);
  }

  #make(hash: number, layout: Layout, paramsBytes: number, bound: Bound): GPUBindGroup {
    if (this.#size >= MAX_GROUPS) this.clear();
    const { objects, offsets, sizes } = bound;
    const group = this.#device.createBindGroup({
      layout: layout.bindings,
      entries: [
        { binding: 0, resource: { buffer: this.#uniforms, size: paramsBytes } },
        ...objects.map((object, i) => ({
          binding: i + 1,
          resource: sizes[i]
            ? { buffer: object as GPUBuffer, offset: offsets[i], size: sizes[i] }
            : object as GPUTextureView,
        })),
      ],
    });
    const copy = { objects: [...objects], offsets: [...offsets], sizes: [...sizes] };
    this.#entries.set(hash, { ...copy, layout, group, next: this.#entries.get(hash) });
    this.#size++;
    return group;
  }

  /** Forgets all groups, since their buffers may be destroyed. */
  clear(): void {
    this.#entries.clear();
    this.#size = 0;
  }
}
