import { DeviceError } from "../base/errors.ts";
import type { DebugOptions } from "../base/debug.ts";
import { quietVulkan } from "../base/environment.ts";
import { dawnSettings } from "./dawn.ts";
import { isDry } from "./dry_gpu.ts";
import { gpuMessage } from "./gpu_error.ts";
import { widenLavapipe } from "./lavapipe.ts";

/** The properties of an adapter, and what it granted to a device. */
export interface Capabilities {
  /** Name of the adapter, as its driver gives it. */
  readonly adapter: string;
  /** Vendor as the adapter gives it: a PCI id or a name. */
  readonly vendor: string;
  /** Driver or architecture as the adapter gives it; may be empty. */
  readonly architecture: string;
  /** `cpu` for a software adapter. Kernels choose their variants by it. */
  readonly class: "cpu" | "gpu";
  /** WebGPU implementation; `wgpu` is Deno's own. */
  readonly implementation: "wgpu" | "dawn";
  /** Whether the implementation checks the bounds of each access of a kernel; {@link dawn} does if asked to. */
  readonly robustness: boolean;
  /** Features the device was created with. */
  readonly features: readonly string[];
  /** Whether kernels may use f16 (`shader-f16`). */
  readonly f16: boolean;
  /** Whether kernels may use subgroup built-ins. */
  readonly subgroups: boolean;
  /** Lanes of a subgroup if kernels may use them and their number is fixed, otherwise 0. */
  readonly subgroupSize: number;
  /** Shapes that a subgroup multiplies on tensor cores; empty without them, and always with wgpu. */
  readonly subgroupMatrices: readonly SubgroupMatrix[];
  /** Whether there are timestamp queries, which {@link Device.profile} needs. */
  readonly timestamps: boolean;
  /** Limits of the device: all that the adapter offers. */
  readonly limits: Readonly<Record<string, number>>;
}

/** The variant to use from each size on, by choice; see `kernels/shared/variants.ts`. */
export type Tuning = Readonly<
  Record<string, readonly (readonly [least: number, variant: string])[]>
>;

/** A product of matrices, [M, K] · [K, N], that tensor cores compute at once. */
export interface SubgroupMatrix {
  /** Type of the factors, such as `f16`. */
  readonly componentType: string;
  /** Type of the sum, such as `f32`. */
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
  /** WebGPU implementation, such as {@link dawn} returns; `navigator.gpu` if absent. */
  readonly gpu?: GPU;
  /** Passed to `requestAdapter`; `high-performance` if absent. */
  readonly powerPreference?: GPUPowerPreference;
  /** Class of adapter to choose kernel variants for, in tests and comparisons; the adapter's own if absent. */
  readonly class?: Capabilities["class"];
  /**
   * Whether layers are wide, so that a software adapter should use the CPU's widest registers, see
   * `engine/gpu/lavapipe.ts`.
   */
  readonly wide?: boolean;
  /** What to log; if absent, what the environment variable `BITWISE_DEBUG` asks for, on stderr. */
  readonly debug?: DebugOptions;
}

/** Tensor cores. Dawn grants them if it was created with `allow_unsafe_apis`. */
const MATRICES = "chromium-experimental-subgroup-matrix";

/** Features to request where the adapter has them. */
const WANTED = ["shader-f16", "subgroups", "timestamp-query", MATRICES];

/** A feature that Deno leaves out of the adapter's list and yet grants. */
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

/** Keeps Dawn alive with its devices: when its GPU object or the adapter is collected, they wait forever. */
const ORIGINS = new WeakMap<GPUDevice, { gpu: GPU; adapter: GPUAdapter }>();

/** The implementation to use; undefined in a runtime without WebGPU. */
function implementationOf(options: DeviceOptions): GPU | undefined {
  // deno-lint-ignore no-explicit-any -- `navigator.gpu` is missing from a runtime without WebGPU
  return options.gpu ?? (globalThis as any).navigator?.gpu;
}

/** Returns null where there is none. Dawn rejects if a flag names one that is missing. */
async function findAdapter(
  gpu: GPU | undefined,
  powerPreference: GPUPowerPreference = "high-performance",
): Promise<GPUAdapter | null> {
  try {
    return await gpu?.requestAdapter({ powerPreference }) ?? null;
  } catch {
    return null;
  }
}

/** Opens a device. It is null, and nothing is thrown, where the adapter does not grant the features. */
async function tryDevice(
  adapter: GPUAdapter,
  requiredFeatures: GPUFeatureName[],
): Promise<GPUDevice | null> {
  try {
    return await adapter.requestDevice({ requiredFeatures });
  } catch {
    return null;
  }
}

async function openAdapter(options: DeviceOptions): Promise<{ gpu: GPU; adapter: GPUAdapter }> {
  const gpu = implementationOf(options);
  const adapter = await findAdapter(gpu, options.powerPreference);
  if (gpu && adapter) return { gpu, adapter };
  if (gpu && dawnSettings(gpu)) {
    throw new DeviceError(
      "no-adapter",
      "Dawn accepts no adapter of this machine: update the GPU's Vulkan driver (Mesa 22 is too old, " +
        "Mesa 25 is not), or use Deno's own WebGPU",
      { hint: "use-wgpu" },
    );
  }
  throw new DeviceError(
    "no-adapter",
    "Cannot find a WebGPU adapter: install the GPU's Vulkan driver, or for a CPU " +
      "`apt-get install mesa-vulkan-drivers` (./setup.sh does it on Debian and Ubuntu)",
  );
}

/** Returns what an implementation's adapter offers, before a device is opened; null if there is no adapter. */
export async function surveyAdapter(gpu: GPU | undefined): Promise<Capabilities | null> {
  quietVulkan();
  const adapter = await findAdapter(gpu);
  return gpu && adapter ? capabilitiesOf(gpu, adapter, offered(adapter), limitsOf(adapter)) : null;
}

/** The limits to request: all that the adapter offers. */
function limitsOf({ limits }: GPUAdapter): Record<string, number> {
  return Object.fromEntries(LIMITS.map((name) => [name, limits[name]]));
}

/** The features to request of an adapter that it lists. */
function offered(adapter: GPUAdapter): string[] {
  return WANTED.filter((feature) => adapter.features.has(feature as GPUFeatureName));
}

/**
 * Opens an adapter with all its limits and the features it grants.
 *
 * @throws {DeviceError} `no-adapter`: there is none, and the message says what to install; `no-device`: it grants no
 * device.
 */
export async function openGpu(
  options: DeviceOptions,
): Promise<{ gpu: GPUDevice; capabilities: Capabilities }> {
  quietVulkan();
  if (options.wide) widenLavapipe();
  const { gpu: implementation, adapter } = await openAdapter(options);
  const features = offered(adapter);
  if (!features.includes(HIDDEN)) {
    // an adapter object serves one request only, granted or not, so the trial gets one of its own
    const trial = await tryDevice((await openAdapter(options)).adapter, [HIDDEN as GPUFeatureName]);
    if (trial) features.push(HIDDEN);
    trial?.destroy();
  }
  const limits = limitsOf(adapter);
  const capabilities = capabilitiesOf(implementation, adapter, features, limits);
  const gpu = await openDevice(adapter, features, limits);
  ORIGINS.set(gpu, { gpu: implementation, adapter });
  return { gpu, capabilities: { ...capabilities, class: options.class ?? capabilities.class } };
}

async function openDevice(
  adapter: GPUAdapter,
  features: readonly string[],
  requiredLimits: Record<string, number>,
): Promise<GPUDevice> {
  const requiredFeatures = features as GPUFeatureName[];
  try {
    return await adapter.requestDevice({ requiredFeatures, requiredLimits });
  } catch (cause) {
    throw new DeviceError(
      "no-device",
      `Cannot open the adapter ${adapter.info.description}: ${gpuMessage(cause)}`,
      { cause },
    );
  }
}

function capabilitiesOf(
  gpu: GPU,
  adapter: GPUAdapter,
  features: string[],
  limits: Record<string, number>,
): Capabilities {
  const { info } = adapter;
  const names = `${info.description} ${info.device} ${info.architecture}`;
  const software = /llvmpipe|swiftshader|software/i.test(names);
  const subgroups = features.includes("subgroups");
  const fixed = subgroups && info.subgroupMinSize === info.subgroupMaxSize;
  return {
    // browsers keep names to themselves, and say vendor and architecture
    adapter: info.description || info.device ||
      [info.vendor, info.architecture].filter(Boolean).join(" ") ||
      "unknown adapter",
    vendor: info.vendor,
    architecture: info.architecture,
    class: software || info.isFallbackAdapter ? "cpu" : "gpu",
    // wgpu rejects `enable subgroups;`, Dawn requires it
    implementation: "Deno" in globalThis && "version" in Deno &&
        (isDry(gpu) || adapter instanceof GPUAdapter)
      ? "wgpu"
      : "dawn",
    robustness: dawnSettings(gpu)?.robustness ?? true,
    features,
    f16: features.includes("shader-f16"),
    subgroups,
    subgroupSize: fixed ? info.subgroupMinSize ?? 0 : 0,
    subgroupMatrices: features.includes(MATRICES) ? matricesOf(info) : [],
    timestamps: features.includes("timestamp-query"),
    limits,
  };
}

/** The shapes of an adapter with {@link MATRICES}. Its entries have only getters, so they are copied. */
function matricesOf(info: GPUAdapterInfo): SubgroupMatrix[] {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: SubgroupMatrix[] };
  return Array.from(subgroupMatrixConfigs, ({ componentType, resultComponentType, M, N, K }) => (
    { componentType, resultComponentType, M, N, K }
  ));
}
