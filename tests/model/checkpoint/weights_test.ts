import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  bytesSource,
  CheckpointError,
  Device,
  encodeSafetensors,
  Safetensors,
  safetensorsHeader,
  Tensor,
  toFloat32,
} from "../../../engine/mod.ts";
import { QUANTISED_TYPES, type WeightType } from "../../../kernels/linear/weight_types.ts";
import { fileDtype, quantise, scalesOf } from "../../../model/checkpoint/quantised_blocks.ts";
import { StoredMatrix } from "../../../model/checkpoint/stored_matrix.ts";
import { PART, Weights } from "../../../model/checkpoint/weights.ts";
import { device, random, values } from "../../harness.ts";
import { PROFILES, reducedGpu } from "../../reduced_gpu.ts";

/** A file of one tensor. */
function fileOf(dtype: "F16" | "BF16" | "F32", shape: number[], data: Uint8Array) {
  const header = safetensorsHeader([{ name: "table", dtype, shape }]);
  const bytes = new Uint8Array(header.length + data.length);
  bytes.set(header);
  bytes.set(data, header.length);
  return Safetensors.open(bytesSource("test.safetensors", bytes));
}

for (const dtype of ["F16", "BF16", "F32"] as const) {
  Deno.test(`Weights.table() loads ${dtype} in parts, with the bits of the host's conversion`, async () => {
    const C = 4000;
    const rows = Math.floor(PART / (4 * C)); // of the first part
    const V = rows + 3;
    const elementBytes = dtype === "F32" ? 4 : 2;
    const data = new Uint8Array(V * C * elementBytes);
    // finite numbers of all sizes, in the rows on both sides of the border
    const words = new Uint16Array(data.buffer);
    const border = (rows - 1) * C * elementBytes / 2;
    for (let i = border; i < words.length; i++) words[i] = i * 40503 & 0xb7ff;
    const file = await fileOf(dtype, [V, C], data);
    const weights = new Weights(device, file, "f32");
    const parts = await weights.table("table", [V, C]);
    assertEquals(parts.map(({ shape }) => shape), [[rows, C], [3, C]]);
    const expected = toFloat32(data.subarray((rows - 1) * C * elementBytes), dtype);
    const [last, rest] = await device.readAll([parts[0]!.rows(rows - 1, 1), parts[1]!]);
    assertEquals([...last!, ...rest!], [...expected]);
    weights.dispose();
    file.close();
    device.trim();
  });
}

/** A matrix that may be quantised, with an odd number of rows. */
const [NAME, N, K] = ["block_chunks.0.module.0.sa.mat_qkv.weight", 5, 96];

/** A file with a matrix of random numbers, stored in some way. */
function stored(type: WeightType | "bf16"): Promise<Safetensors> {
  const floats = Float32Array.from(values(random(7), N * K));
  const tensors = [];
  const quantised = QUANTISED_TYPES.find((one) => one === type);
  if (quantised) {
    const { bytes, scales } = quantise(floats, quantised);
    const shape = [N, bytes.length / N];
    tensors.push({ name: NAME, dtype: fileDtype(quantised), shape, data: bytes });
    tensors.push({ name: scalesOf(NAME), dtype: "F16" as const, shape: [N, K / 32], data: scales });
  } else if (type === "bf16") {
    const data = Uint16Array.from(new Uint32Array(floats.buffer), (word) => word >>> 16);
    tensors.push({ name: NAME, dtype: "BF16" as const, shape: [N, K], data });
  } else {
    const data = type === "f16" ? new Float16Array(floats) : floats;
    const dtype = type === "f16" ? "F16" as const : "F32" as const;
    tensors.push({ name: NAME, dtype, shape: [N, K], data });
  }
  return Safetensors.open(bytesSource("test.safetensors", encodeSafetensors(tensors)));
}

/** Bytes of the matrix in a file of each type. */
const STORED_BYTES = {
  f32: 4 * N * K,
  f16: 2 * N * K,
  bf16: 2 * N * K,
  q8_0: N * K + 2 * N * K / 32,
  q4_0: N * K / 2 + 2 * N * K / 32,
} as const;

for (const profile of [null, "no f16"] as const) {
  Deno.test(
    `Weights.stored() keeps a matrix as its file has it, and widens it exactly (${
      profile ?? "whole adapter"
    })`,
    async () => {
      const gpu = profile ? reducedGpu(navigator.gpu, PROFILES[profile]) : navigator.gpu;
      using fresh = await Device.open({ gpu });
      for (const type of ["f32", "f16", "bf16", "q8_0", "q4_0"] as const) {
        const file = await stored(type);
        const weights = new Weights(fresh, file, "f32");
        const expected = await fresh.read(await weights.tensor(NAME, [N, K]));
        const before = fresh.memory.liveBytes;
        const matrix = await weights.stored(NAME, [N, K]);
        const took = fresh.memory.liveBytes - before;
        // buffers of few bytes are rounded up to powers of two
        assert(took < 2 * STORED_BYTES[type] + 16, `${type}: ${took}`);
        assertEquals(matrix instanceof StoredMatrix, type !== "f32");
        const wide = matrix instanceof Tensor ? matrix.reshape(N, K) : matrix.widened();
        assertEquals(wide.shape, [N, K]);
        assertEquals([...await fresh.read(wide)], [...expected], type);
        wide.dispose();
        assertEquals(fresh.memory.liveBytes, before + took, "what was widened is gone");
        await assertRejects(() => weights.stored(NAME, [N + 1, K]), CheckpointError, "[6, 96]");
        weights.dispose();
        file.close();
      }
      assertEquals(fresh.memory.liveBytes, 0);
    },
  );
}
