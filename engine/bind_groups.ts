/** Groups kept before all are forgotten: those of a large model's image, and what they hold stays small. */
const MOST = 8192;

/** Bind groups of one device, made once for the same resources: pooled memory comes back in the same order. */
export class BindGroups {
  #device: GPUDevice;
  #groups: Map<string, GPUBindGroup> = new Map();
  #ids: WeakMap<object, number> = new WeakMap();
  #last = 0;

  /** For one device. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Objects that are gone never share the number of another. */
  #id(object: object): number {
    let id = this.#ids.get(object);
    if (id === undefined) this.#ids.set(object, id = ++this.#last);
    return id;
  }

  /** The group of `resources`, bound from 0 on: slices of buffers, and texture views. */
  group(layout: GPUBindGroupLayout, resources: readonly GPUBindingResource[]): GPUBindGroup {
    let key = `${this.#id(layout)}`;
    for (const resource of resources) {
      const { buffer, offset = 0, size } = resource as GPUBufferBinding;
      key += buffer ? `,${this.#id(buffer)}:${offset}:${size}` : `,${this.#id(resource as object)}`;
    }
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= MOST) this.#groups.clear();
      const entries = resources.map((resource, binding) => ({ binding, resource }));
      this.#groups.set(key, group = this.#device.createBindGroup({ layout, entries }));
    }
    return group;
  }

  /** Forgets all, as their buffers may be destroyed. */
  clear(): void {
    this.#groups.clear();
  }
}
