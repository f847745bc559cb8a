import { dawn, dawnObstacle, surveyAdapter } from "../../engine/mod.ts";
import { WEIGHT_FORMATS, type WeightType } from "../../kernels/linear/weight_types.ts";
import { matrixShape } from "../../kernels/shared/matrix.ts";

/**
 * Returns the implementation of that name for `Device.open`; undefined for the one of the runtime.
 *
 * @throws {DeviceError} `no-dawn`: It cannot be loaded; the message says what to do.
 */
export async function implementation(name: "wgpu" | "dawn" | undefined): Promise<GPU | undefined> {
  return name === "dawn" ? await dawn() : undefined;
}

/** An implementation that was chosen. */
export interface GpuChoice {
  /** Its name. */
  readonly name: "wgpu" | "dawn";
  /** For `Device.open`; undefined for the one of the runtime. */
  readonly gpu?: GPU;
  /** Why, as a phrase. */
  readonly reason: string;
}

/** What there is to choose from. */
export interface Implementations {
  /** The one of the runtime. */
  readonly own: GPU | undefined;
  /** Why Dawn cannot be loaded without asking; null if it can. */
  readonly obstacle: () => string | null;
  /** Loads Dawn. */
  readonly load: () => Promise<GPU>;
}

const HERE: Implementations = {
  get own() {
    return navigator.gpu;
  },
  obstacle: dawnObstacle,
  load: () => dawn(),
};

/**
 * Chooses the implementation for a model with weights of `type`: Dawn where it is installed and reaches tensor cores.
 * Neither downloads nor asks for a permission.
 */
export async function chooseGpu(
  type: WeightType,
  { own, obstacle, load }: Implementations = HERE,
): Promise<GpuChoice> {
  const wgpu = (reason: string): GpuChoice => ({ name: "wgpu", reason });
  if (WEIGHT_FORMATS[type].float === "f32") return wgpu("f32 weights are multiplied exactly");
  const adapter = await surveyAdapter(own);
  // before Dawn is loaded: it takes time, and complains of drivers that it refuses
  if (adapter?.class === "cpu") return wgpu(`${adapter.adapter} is a software adapter`);
  const why = obstacle();
  if (why !== null) return wgpu(why);
  try {
    const gpu = await load();
    const found = await surveyAdapter(gpu);
    if (!found) return wgpu("Dawn accepts no adapter of this machine");
    if (found.class === "cpu" || !matrixShape({ capabilities: found })) {
      return wgpu("Dawn finds no tensor cores for f16");
    }
    return { name: "dawn", gpu, reason: `f16 on tensor cores of ${found.adapter}` };
  } catch (error) {
    return wgpu((error as Error).message);
  }
}
