import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  dawn,
  Device,
  DeviceError,
  type SubgroupMatrix,
  type Tensor,
} from "../../../engine/mod.ts";
import { DAWN } from "../../backend.ts";
import { attention } from "../../../kernels/attention/attention.ts";
import { attentionMatrices } from "../../../kernels/attention/attention_matrix.ts";
import { conv2d } from "../../../kernels/conv/conv2d.ts";
import { packConv } from "../../../kernels/conv/conv2d_weight.ts";
import { packLinear } from "../../../kernels/linear/linear.ts";
import { matmul } from "../../../kernels/linear/matmul.ts";
import { matrixShape, type MatrixTile, TILES } from "../../../kernels/shared/matrix.ts";

/** M, N and K of the tensor cores of GPUs, as Dawn lists them, and the lanes of a subgroup. */
const GPUS: readonly [M: number, N: number, K: number, lanes: number][] = [
  [16, 16, 16, 32], // NVIDIA
  [16, 8, 16, 32], // NVIDIA, the smaller shape
  [8, 8, 8, 32], // Apple
];

/** Opens Dawn without a GPU, which checks shaders but runs nothing, and claims to have these tensor cores. */
async function pretend(gpu: GPU, [M, N, K, lanes]: typeof GPUS[number]): Promise<Device> {
  const device = await Device.open({ gpu });
  const shape = { componentType: "f16", resultComponentType: "f32", M, N, K };
  const { limits } = device.capabilities;
  return Object.assign(device, {
    capabilities: {
      ...device.capabilities,
      class: "gpu",
      subgroupSize: lanes,
      subgroupMatrices: [shape satisfies SubgroupMatrix],
      limits: { ...limits, maxComputeWorkgroupStorageSize: 32768 },
    },
  });
}

const NEED = DAWN ? "" : " (skipped: only Dawn knows such shaders)";

/**
 * Runs something that the pretended adapter accepts, or refuses for want of workgroup memory after it read the text.
 */
async function accept(gpu: GPU, cores: typeof GPUS[number], run: (device: Device) => void) {
  using device = await pretend(gpu, cores);
  assertEquals(matrixShape(device)?.M, cores[0]);
  run(device);
  await device.finish().catch(({ message }) =>
    assert(/use of workgroup storage/.test(message), message)
  );
}

Deno.test({
  name: `matmul() and conv2d() are accepted for the tensor cores of other GPUs${NEED}`,
  ignore: !DAWN,
  fn: async () => {
    const gpu = await dawn({ flags: ["backend=null"] });
    for (const cores of GPUS) {
      for (const variant of Object.keys(TILES) as MatrixTile[]) {
        for (const type of ["f16", "q8_0", "q4_0"] as const) {
          for (const dtype of ["f32", "f16"] as const) {
            await accept(gpu, cores, (device) => {
              const t = (shape: number[], of = dtype) => device.tensor(of, shape);
              const linear = packLinear(device, [t([64, 64], "f32")], t([64], "f32"), type);
              const epilogue = "gelu";
              matmul(device, { x: t([5, 64]), linear, y: t([5, 64]), epilogue, variant });
            });
          }
        }
        if (variant !== "middle" && variant !== "large") continue;
        for (const C of [32, 36]) {
          await accept(gpu, cores, (device) => {
            const t = (shape: number[], of: "f32" | "f16" = "f32") => device.tensor(of, shape);
            const conv = packConv(device, t([7, C, 3, 3]), t([7]), "f16");
            conv2d(device, { x: t([1, 4, 4, C], "f16"), conv, y: t([1, 4, 4, 7]), variant });
          });
        }
      }
    }
  },
});

Deno.test({
  name: `attention() is accepted for the tensor cores of other GPUs, memory apart${NEED}`,
  ignore: !DAWN,
  fn: async () => {
    const gpu = await dawn({ flags: ["backend=null"] });
    for (const cores of GPUS) {
      for (const headDim of [36, 128]) {
        for (const dtype of ["f32", "f16"] as const) {
          using device = await pretend(gpu, cores);
          assert(attentionMatrices(device, headDim), `${cores} at ${headDim}`);
          const t = (shape: number[], type: "f32" | "f16") => device.tensor(type, shape);
          const attend = (kv: Tensor) =>
            attention(device, {
              q: t([7, 2 * headDim], dtype),
              k: kv,
              v: kv,
              y: t([7, 2 * headDim], dtype),
              spans: device.tensor("u32", [1, 4]),
              maxQueries: 7,
              heads: 2,
              headDim,
              scale: 1,
              bias: { table: t([5, 2], "f32"), bucketOf: device.tensor("u32", [9]), centre: 4 },
            });
          attend(t([9, 2 * headDim], "f32")); // stays f32
          await device.finish();
          attend(t([9, 2 * headDim], "f16"));
          // counted after the text was accepted: this adapter has half the workgroup memory of any GPU
          await assertRejects(() => device.finish(), DeviceError, "use of workgroup storage");
        }
      }
    }
  },
});
