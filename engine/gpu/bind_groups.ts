/** Number of groups at which all are forgotten: enough for an image of a large model, and still little memory. */
const MAX_GROUPS = 8192;

/** Caches the bind groups of one device by their resources: pooled memory comes back in the same order. */
export class BindGroups {
  #device: GPUDevice;
  #groups: Map<string, GPUBindGroup> = new Map();
  #ids: WeakMap<object, number> = new WeakMap();
  #last = 0;

  /** Makes an empty cache for one device. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Returns the number of an object, which no other object ever gets. */
  #id(object: object): number {
    let id = this.#ids.get(object);
    if (id === undefined) this.#ids.set(object, id = ++this.#last);
    return id;
  }

  /** Returns the group that binds `resources`, slices of buffers and views of textures, from binding 0 on. */
  group(layout: GPUBindGroupLayout, resources: readonly GPUBindingResource[]): GPUBindGroup {
    let key = `${this.#id(layout)}`;
    for (const resource of resources) {
      const { buffer, offset = 0, size } = resource as GPUBufferBinding;
      key += buffer ? `,${this.#id(buffer)}:${offset}:${size}` : `,${this.#id(resource as object)}`;
    }
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= MAX_GROUPS) this.#groups.clear();
      const entries = resources.map((resource, binding) => ({ binding, resource }));
      this.#groups.set(key, group = this.#device.createBindGroup({ layout, entries }));
    }
    return group;
  }

  /** Forgets all groups, since their buffers may be destroyed. */
  clear(): void {
    this.#groups.clear();
  }
}
