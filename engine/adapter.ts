import { DeviceError } from "./errors.ts";
import { widenLavapipe } from "./lavapipe.ts";

/** What the adapter is and what was granted. */
export interface Capabilities {
  /** The adapter's name as its driver gives it. */
  readonly adapter: string;
  /** PCI vendor or implementation name, as given. */
  readonly vendor: string;
  /** Driver or architecture, as given; may be empty. */
  readonly architecture: string;
  /** `cpu` for a software adapter; kernels choose their variants by it. */
  readonly class: "cpu" | "gpu";
  /** The WebGPU implementation: wgpu is Deno's own. */
  readonly implementation: "wgpu" | "dawn";
  /** Features the device was created with. */
  readonly features: readonly string[];
  /** f16 storage and arithmetic (`shader-f16`). */
  readonly f16: boolean;
  /** Subgroup built-ins. */
  readonly subgroups: boolean;
  /** Lanes of a subgroup where it is fixed, else 0. */
  readonly subgroupSize: number;
  /** Shapes that tensor cores multiply, one subgroup each; empty without them, and always through wgpu. */
  readonly subgroupMatrices: readonly SubgroupMatrix[];
  /** Timestamp queries, which {@link Device.profile} needs. */
  readonly timestamps: boolean;
  /** Limits of the device, all that the adapter offers. */
  readonly limits: Readonly<Record<string, number>>;
}

/** Which variant of a kernel is taken from a size on, by choice, see `kernels/shared/variants.ts`. */
export type Tuning = Readonly<
  Record<string, readonly (readonly [least: number, variant: string])[]>
>;

/** [M, K] · [K, N] of `componentType`, summed in `resultComponentType`. */
export interface SubgroupMatrix {
  /** Of the factors, such as `f16`. */
  readonly componentType: string;
  /** Of the sum, such as `f32`. */
  readonly resultComponentType: string;
  /** Rows of the left factor. */
  readonly M: number;
  /** Columns of the right factor. */
  readonly N: number;
  /** Columns of the left factor. */
  readonly K: number;
}

/** How to open a device. */
export interface DeviceOptions {
  /** The WebGPU implementation, such as what `create([])` of `npm:webgpu` makes; `navigator.gpu` if absent. */
  readonly gpu?: GPU;
  /** Passed to `requestAdapter`; `high-performance` if absent. */
  readonly powerPreference?: GPUPowerPreference;
  /** Chooses kernel variants as for this class of adapter; found out if absent. For tests and comparisons. */
  readonly class?: Capabilities["class"];
  /** Layers are wide, so a software adapter should use the widest registers of the CPU, see `engine/lavapipe.ts`. */
  readonly wide?: boolean;
}

/** Tensor cores; Dawn grants it where it was created with `allow_unsafe_apis`. */
const MATRICES = "chromium-experimental-subgroup-matrix";

/** Features worth having. */
const WANTED = ["shader-f16", "subgroups", "timestamp-query", MATRICES];

/** The one that Deno leaves out of the adapter's list and yet grants. */
const HIDDEN = "subgroups";

const LIMITS = [
  "maxBufferSize",
  "maxTextureDimension2D",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBuffersPerShaderStage",
  "minStorageBufferOffsetAlignment",
  "minUniformBufferOffsetAlignment",
] as const;

/** Dawn ends when the object that it came as is collected, and then its devices wait for ever: each keeps that object. */
const IMPLEMENTATIONS = new WeakMap<GPUDevice, GPU>();

async function openAdapter(options: DeviceOptions): Promise<GPUAdapter> {
  // deno-lint-ignore no-explicit-any -- `navigator.gpu` is missing from a runtime without WebGPU
  const gpu: GPU | undefined = options.gpu ?? (globalThis as any).navigator?.gpu;
  const powerPreference = options.powerPreference ?? "high-performance";
  const adapter = await gpu?.requestAdapter({ powerPreference });
  if (adapter) return adapter;
  throw new DeviceError(
    "no-adapter",
    "Cannot find a WebGPU adapter: install the GPU's Vulkan driver, or for a CPU " +
      "`apt-get install mesa-vulkan-drivers` (./setup.sh does it on Debian and Ubuntu)",
  );
}

/**
 * Opens an adapter with all its limits and the features it grants.
 *
 * @throws {DeviceError} `no-adapter` with what to install; `no-device` if the adapter refuses.
 */
export async function openGpu(
  options: DeviceOptions,
): Promise<{ gpu: GPUDevice; capabilities: Capabilities }> {
  if (options.wide) widenLavapipe();
  const adapter = await openAdapter(options);
  const features = WANTED.filter((feature) => adapter.features.has(feature as GPUFeatureName));
  if (!features.includes(HIDDEN)) {
    // an adapter object is spent by its first device, refused or not, so the trial gets one of its own
    const trial = await (await openAdapter(options))
      .requestDevice({ requiredFeatures: [HIDDEN as GPUFeatureName] }).catch(() => null);
    if (trial) features.push(HIDDEN);
    trial?.destroy();
  }
  const limits: Record<string, number> = {};
  for (const name of LIMITS) limits[name] = adapter.limits[name];
  const gpu = await adapter.requestDevice({
    requiredFeatures: features as GPUFeatureName[],
    requiredLimits: limits,
  }).catch((error: Error) => {
    throw new DeviceError(
      "no-device",
      `Cannot open the adapter ${adapter.info.description}: ${error.message.split("\n")[0]}`,
      { cause: error },
    );
  });
  if (options.gpu) IMPLEMENTATIONS.set(gpu, options.gpu);
  const capabilities = capabilitiesOf(adapter, features, limits);
  return { gpu, capabilities: { ...capabilities, class: options.class ?? capabilities.class } };
}

function capabilitiesOf(
  adapter: GPUAdapter,
  features: string[],
  limits: Record<string, number>,
): Capabilities {
  const { info } = adapter;
  const software = /llvmpipe|swiftshader|software/i.test(`${info.description} ${info.device}`);
  const fixed = info.subgroupMinSize === info.subgroupMaxSize;
  return {
    adapter: info.description || info.device || "unknown adapter",
    vendor: info.vendor,
    architecture: info.architecture,
    class: software || info.isFallbackAdapter ? "cpu" : "gpu",
    // wgpu rejects `enable subgroups;`, Dawn wants it
    implementation: "Deno" in globalThis && adapter instanceof GPUAdapter ? "wgpu" : "dawn",
    features,
    f16: features.includes("shader-f16"),
    subgroups: features.includes("subgroups"),
    subgroupSize: fixed ? info.subgroupMinSize : 0,
    subgroupMatrices: features.includes(MATRICES) ? matricesOf(info) : [],
    timestamps: features.includes("timestamp-query"),
    limits,
  };
}

/** What an adapter with {@link MATRICES} multiplies; its entries have getters alone, so they are copied out. */
function matricesOf(info: GPUAdapterInfo): SubgroupMatrix[] {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: SubgroupMatrix[] };
  return Array.from(subgroupMatrixConfigs, ({ componentType, resultComponentType, M, N, K }) => (
    { componentType, resultComponentType, M, N, K }
  ));
}
