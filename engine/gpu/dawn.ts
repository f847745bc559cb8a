import {
  isFileIfAllowed,
  mayUse,
  namesIfAllowed,
  quietVulkan,
  readEnv,
  systemName,
} from "../base/environment.ts";
import { DeviceError } from "../base/errors.ts";

const VERSION = "0.6.2";

/** Dawn, built for Node. Imported by a computed name, so that its 130 MB are downloaded only on demand. */
export const DAWN_PACKAGE: string = `npm:webgpu@${VERSION}`;

/** Toggles of Dawn that bitwise sets, by flag. */
const TOGGLES: Readonly<Record<string, readonly string[]>> = {
  "enable-dawn-features": [
    "allow_unsafe_apis", // subgroup matrices count as unsafe while they are experimental
    "use_vulkan_memory_model",
    "vulkan_enable_f16_on_nvidia", // else neither f16 nor its matrices are listed there
  ],
  "disable-dawn-features": [
    "timestamp_quantization", // it rounds to 65 µs
  ],
};

/**
 * Takes away the bounds checks that Dawn puts around each access, which cost products of subgroup matrices 1.3 to 2.3
 * times their time. Safe because our kernels check their own bounds: their tests say so with guard values around
 * tensors, here and with these checks.
 */
const UNCHECKED = "disable_robustness";

/** How to load {@link dawn}. */
export interface DawnOptions {
  /** Whether Dawn checks the bounds of each access, too; false if absent. For tests, and for kernels of your own. */
  readonly robustness?: boolean;
  /** More flags for Dawn's `create`, such as `backend=null`. Toggles are added to those that bitwise sets. */
  readonly flags?: readonly string[];
}

/** Dawn's GPU objects, and whether they check bounds. */
const INSTANCES = new WeakMap<GPU, { readonly robustness: boolean }>();

/** Returns how Dawn was loaded if `gpu` came from {@link dawn}. */
export function dawnSettings(gpu: GPU): { readonly robustness: boolean } | undefined {
  return INSTANCES.get(gpu);
}

/**
 * Loads Dawn (`npm:webgpu`) to use in place of Deno's own WebGPU: a second implementation, and the one with tensor
 * cores. Downloads it at the first call. Needs permission to call native code (`--allow-ffi`).
 *
 * @example
 * ```ts ignore
 * import { InfinityModel } from "@bitwise/infinity";
 * import { dawn } from "@bitwise/infinity/engine";
 *
 * using model = await InfinityModel.load("models/infinity-2b", { gpu: await dawn(), type: "f16" });
 * ```
 *
 * @throws {DeviceError} `no-dawn`: it cannot be loaded; the message says what to do.
 */
export async function dawn(options: DawnOptions = {}): Promise<GPU> {
  const { robustness = false, flags = [] } = options;
  try {
    // by its path if it can: by its name, Deno would note it in the caller's deno.lock
    const { create } = await import(cachedDawn() ?? DAWN_PACKAGE) as {
      create(flags: string[]): GPU;
    };
    quietVulkan();
    pollGently();
    const gpu = create(dawnFlags(robustness, flags));
    INSTANCES.set(gpu, { robustness });
    return gpu;
  } catch (cause) {
    const { name, message } = cause as Error;
    const denied = name === "NotCapable";
    const reason = denied
      ? "it is native code, which this process may not call"
      : `${
        message.split("\n")[0]
      }; where npm can be reached, run deno cache --no-lock ${DAWN_PACKAGE}`;
    const hint = denied ? "allow-ffi" : undefined;
    throw new DeviceError("no-dawn", `Cannot load Dawn: ${reason}`, { cause, hint });
  }
}

/** Returns what Dawn's `create` takes. Of a flag given twice it knows only the last, so toggles are joined. */
function dawnFlags(robustness: boolean, flags: readonly string[]): string[] {
  const toggles = new Map(Object.entries(TOGGLES).map(([flag, names]) => [flag, [...names]]));
  if (!robustness) toggles.get("enable-dawn-features")!.push(UNCHECKED);
  const rest = flags.filter((flag) => {
    const [name = "", value = ""] = flag.split("=");
    return !toggles.get(name)?.push(...value.split(","));
  });
  return [...Array.from(toggles, ([flag, names]) => `${flag}=${names}`), ...rest];
}

/**
 * Says why {@link dawn} would have to ask or to download, as a phrase; null if it can start at once. Looks into Deno's
 * cache, if that is permitted without asking.
 */
export function dawnObstacle(): string | null {
  const path = cachedDawn();
  if (path === null) return "Dawn is not installed";
  return mayUse({ name: "ffi" }) ? null : "Dawn is native code, which needs permission";
}

/** Returns the URL of Dawn in Deno's cache; null if it is not there, or may not be looked for. */
function cachedDawn(): string | null {
  const system = systemName();
  if (system === null) return null;
  const home = readEnv("HOME") ?? readEnv("USERPROFILE");
  const caches: Partial<Record<typeof system, string>> = {
    darwin: `${home}/Library/Caches`,
    windows: readEnv("LOCALAPPDATA"),
  };
  const cache = caches[system] ?? (readEnv("XDG_CACHE_HOME") || `${home}/.cache`);
  const npm = `${readEnv("DENO_DIR") || `${cache}/deno`}/npm`;
  const path = namesIfAllowed(npm)
    .map((registry) => `${npm}/${registry}/webgpu/${VERSION}/index.js`)
    .find(isFileIfAllowed);
  if (path === undefined) return null;
  const url = new URL("file:///");
  url.pathname = path.replaceAll("%", "%25");
  return url.href;
}

type Callback = (...args: unknown[]) => void;
const host = globalThis as unknown as {
  setImmediate(callback: Callback, ...args: unknown[]): unknown;
};
const { setImmediate } = host;

/** Polls that follow each other at once when a wait begins: an idle GPU answers after about ten. */
const QUICK_POLLS = 64;
let quick = 0;

const timed: typeof setImmediate = (callback, ...args) =>
  /\[native code\]/.test(Function.prototype.toString.call(callback)) && quick-- <= 0
    ? setTimeout(callback, 1, ...args)
    : setImmediate(callback, ...args);

/**
 * While the GPU works, Dawn polls it by `setImmediate`, each time with a new native function. Deno 2.9 takes time in
 * the square of their number to collect them, so seconds of waiting would cost minutes. Polls once a millisecond
 * instead, after a quick beginning.
 */
function pollGently(): void {
  host.setImmediate = timed;
}

/** Tells that a wait for the GPU begins, which may be short. */
export function beginWait(): void {
  quick = QUICK_POLLS;
}
