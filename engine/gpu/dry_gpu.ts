/** Limits of a large GPU, whose storage bindings are still below 2 GiB. */
const LIMITS = {
  maxBufferSize: 2 ** 31 - 1,
  maxTextureDimension2D: 16384,
  maxStorageBufferBindingSize: 2 ** 31 - 1,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupSizeY: 1024,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
  maxStorageBuffersPerShaderStage: 16,
  minStorageBufferOffsetAlignment: 32,
  minUniformBufferOffsetAlignment: 64,
} as const;

/** What {@link dryGpu} made. */
const INSTANCES = new WeakSet<GPU>();

/** Whether `gpu` came from {@link dryGpu}. */
export function isDry(gpu: GPU): boolean {
  return INSTANCES.has(gpu);
}

/** Makes an object whose methods do nothing. */
function inert(methods: readonly string[]): Record<string, () => void> {
  return Object.fromEntries(methods.map((name) => [name, () => {}]));
}

function dryBuffer({ size, usage, label = "" }: GPUBufferDescriptor): unknown {
  return {
    size,
    usage,
    label,
    mapAsync: () => Promise.resolve(),
    getMappedRange: () => new ArrayBuffer(size),
    ...inert(["unmap", "destroy"]),
  };
}

/** Makes the device of {@link dryGpu}, with given features and limits. */
export function dryDevice(features: object, limits: object): GPUDevice {
  const pass = inert(["setPipeline", "setBindGroup", "dispatchWorkgroups", "end"]);
  const encoder = {
    beginComputePass: () => pass,
    ...inert(["copyBufferToBuffer", "copyBufferToTexture", "finish"]),
  };
  return {
    features,
    limits,
    lost: new Promise(() => {}),
    queue: {
      onSubmittedWorkDone: () => Promise.resolve(),
      ...inert(["writeBuffer", "submit"]),
    },
    createBuffer: dryBuffer,
    createTexture: (
      { size: [, height], format }: { size: number[]; format: GPUTextureFormat },
    ) => ({
      height,
      format,
      createView: () => ({}),
      ...inert(["destroy"]),
    }),
    createCommandEncoder: () => encoder,
    createBindGroupLayout: () => ({}),
    createComputePipeline: () => ({}), // a cache tells it from none
    ...inert([
      "addEventListener",
      "createBindGroup",
      "createPipelineLayout",
      "createShaderModule",
      "destroy",
    ]),
  } as unknown as GPUDevice;
}

/**
 * Makes a WebGPU implementation that computes nothing and allocates nothing, for {@link Device.open}. The engine runs
 * on it as usual, and its account of memory tells what a real GPU, or a `software` adapter, would hold through the
 * runtime's own implementation. Read-backs return zeros.
 *
 * @param software Whether to look like a software adapter.
 * @param maxBindingBytes What one binding of the adapter holds.
 * @param f16 Whether it has `shader-f16`.
 *
 * @example
 * ```ts ignore
 * using device = await Device.open({ gpu: dryGpu() });
 * device.tensor("f32", [1024, 1024]);
 * console.log(device.memory.peakBytes);
 * ```
 */
export function dryGpu(
  software: boolean = false,
  maxBindingBytes: number = LIMITS.maxStorageBufferBindingSize,
  f16: boolean = true,
): GPU {
  const limits = { ...LIMITS, maxStorageBufferBindingSize: maxBindingBytes };
  const features = new Set([...f16 ? ["shader-f16"] : [], ...software ? ["subgroups"] : []]);
  const adapter = {
    features,
    limits,
    info: {
      description: software ? "software dry run" : "dry run",
      vendor: "",
      architecture: "",
      device: "",
      subgroupMinSize: 8,
      subgroupMaxSize: 8,
    },
    requestDevice: ({ requiredFeatures = [], requiredLimits = {} }: GPUDeviceDescriptor = {}) =>
      Promise.resolve(dryDevice(new Set(requiredFeatures), { ...limits, ...requiredLimits })),
  };
  const gpu = { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU;
  INSTANCES.add(gpu);
  return gpu;
}
