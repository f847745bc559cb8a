import { type Tensor, type TensorData, viewBytes } from "./tensor.ts";

/** Bytes of one chunk of a large upload: `writeBuffer` stages without limit until the next submit. */
const UPLOAD_CHUNK = 4 * 1024 * 1024;
/** Uploads of this many bytes are submitted at once: reusing staging memory is faster than touching new pages. */
const LARGE_UPLOAD = 1024 * 1024;

/** Writes data to byte `offset` of a buffer: as bytes, since Dawn knows no other arrays of f16. */
export function writeData(
  queue: GPUQueue,
  buffer: GPUBuffer,
  offset: number,
  data: TensorData,
): void {
  let bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length % 4 !== 0) {
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    padded.set(bytes);
    bytes = padded;
  }
  for (let at = 0; at < bytes.length; at += UPLOAD_CHUNK) {
    const chunk = bytes.subarray(at, at + UPLOAD_CHUNK);
    queue.writeBuffer(buffer, offset + at, chunk);
    if (chunk.length >= LARGE_UPLOAD) queue.submit([]);
  }
}

/** Reads tensors back in one transfer, after all submitted work. Copies whole words of 4 bytes. */
export async function readBack(
  device: GPUDevice,
  tensors: readonly Tensor[],
): Promise<TensorData[]> {
  let total = 0;
  const at = tensors.map((t) => {
    const offset = total;
    const before = t.byteOffset % 4; // of a view
    total += Math.ceil((before + t.byteLength) / 16) * 16;
    return offset + before;
  });
  const staging = device.createBuffer({
    label: "read-back",
    size: Math.max(16, total),
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    tensors.forEach((t, i) => {
      const before = t.byteOffset % 4;
      const bytes = Math.ceil((before + t.byteLength) / 4) * 4;
      if (!t.byteLength) return;
      encoder.copyBufferToBuffer(t.buffer, t.byteOffset - before, staging, at[i]! - before, bytes);
    });
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const mapped = staging.getMappedRange();
    return tensors.map((t, i) => viewBytes(t.dtype, mapped.slice(at[i]!, at[i]! + t.byteLength)));
  } finally {
    staging.destroy();
  }
}
