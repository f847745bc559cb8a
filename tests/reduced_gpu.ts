/**
 * Adapters that offer less than the one of this machine, to test what a kernel needs and what is chosen without it.
 *
 * @module
 */

/** What an adapter lacks. */
export interface Profile {
  /** Limits that it does not exceed. */
  readonly limits?: Readonly<Record<string, number>>;
  /** Features that it has not. */
  readonly without?: readonly string[];
  /** Least and most lanes of a subgroup that it tells. */
  readonly subgroupSizes?: readonly [least: number, most: number];
}

/** The limits that every WebGPU adapter has. */
const DEFAULT_LIMITS = {
  maxBufferSize: 256 << 20,
  maxTextureDimension2D: 8192,
  maxStorageBufferBindingSize: 128 << 20,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
  maxStorageBuffersPerShaderStage: 8,
  minStorageBufferOffsetAlignment: 256,
  minUniformBufferOffsetAlignment: 256,
} as const;

const SUBGROUPS = ["subgroups", "chromium-experimental-subgroup-matrix"];

/** Adapters that kernels must run on, by name. */
export const PROFILES = {
  "default limits": { limits: DEFAULT_LIMITS },
  "bare": {
    limits: DEFAULT_LIMITS,
    without: ["shader-f16", "timestamp-query", ...SUBGROUPS],
  },
  "f16 alone": { limits: DEFAULT_LIMITS, without: ["timestamp-query", ...SUBGROUPS] },
  "no f16": { without: ["shader-f16"] },
  "no subgroups": { without: SUBGROUPS },
  "subgroups of 8 to 32": { subgroupSizes: [8, 32] },
  "32 KiB": {
    limits: {
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024,
    },
  },
} as const satisfies Record<string, Profile>;

/** Returns `gpu`, whose adapters offer what a profile leaves of them. Devices refuse what exceeds it. */
export function reducedGpu(gpu: GPU, profile: Profile): GPU {
  return {
    async requestAdapter(options?: GPURequestAdapterOptions) {
      const adapter = await gpu.requestAdapter(options);
      return adapter && reducedAdapter(adapter, profile);
    },
  } as GPU;
}

function reducedAdapter(adapter: GPUAdapter, profile: Profile): GPUAdapter {
  const { limits = {}, without = [], subgroupSizes } = profile;
  const left: Record<string, number> = {};
  for (const name in adapter.limits) {
    const value = adapter.limits[name as keyof GPUSupportedLimits] as number;
    const better = name.startsWith("min") ? Math.max : Math.min;
    left[name] = better(value, limits[name] ?? value);
  }
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const [subgroupMinSize, subgroupMaxSize] = subgroupSizes ??
    [adapter.info.subgroupMinSize, adapter.info.subgroupMaxSize];
  const { subgroupMatrixConfigs } = adapter.info as { subgroupMatrixConfigs?: unknown };
  return Object.create(adapter, {
    features: {
      value: new Set([...adapter.features].filter((feature) => !without.includes(feature))),
    },
    limits: { value: left },
    info: {
      value: {
        ...{ vendor, architecture, device, description, isFallbackAdapter },
        ...{ subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs },
      },
    },
    requestDevice: {
      value(descriptor: GPUDeviceDescriptor = {}) {
        const refused = [...descriptor.requiredFeatures ?? []].find((name) =>
          without.includes(name)
        );
        if (refused) return Promise.reject(new TypeError(`The adapter lacks ${refused}`));
        return adapter.requestDevice(descriptor);
      },
    },
  });
}
