import { BindGroups } from "./bind_groups.ts";
import type { Debug } from "../base/debug.ts";
import { KernelError } from "../base/errors.ts";
import { type AdapterFacts, type Dispatch, type Kernel, PipelineCache } from "./kernel.ts";
import type { Memory } from "./memory.ts";
import type { Done, Profiler } from "./profiler.ts";
import type { Tensor } from "./tensor.ts";
import { TEXEL_BYTES, type TexelFormat, Texture, TEXTURE_WIDTH } from "./texture.ts";

/** Number of recorded dispatches at which they are submitted: enough to fill a GPU, few enough to start it early. */
const MAX_PENDING = 1024;

/** Size of the uniform struct of a kernel, in whole units of 16 bytes. */
function paramsBytes(kernel: Kernel): number {
  return Math.max(16, Math.ceil(kernel.params.length / 4) * 16);
}

function boundBytes(bind: Readonly<Record<string, Tensor | Texture | null>>): number {
  return Object.values(bind).reduce((sum, bound) => sum + (bound?.byteLength ?? 0), 0);
}

/** A recorded copy of a tensor of vec4s to a texture. */
interface Copied {
  readonly source: GPUTexelCopyBufferInfo;
  readonly texture: GPUTexture;
  readonly texels: number;
}

/** A recorded dispatch. */
interface Dispatched {
  readonly done: Done | null;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly resources: readonly GPUBindingResource[];
  readonly paramsOffset: number;
  readonly paramsSize: number;
  readonly workgroups: readonly [number, number?, number?];
}

/**
 * Records dispatches and submits them in one compute pass.
 *
 * WebGPU orders the dispatches of a pass and makes the writes of each visible to the next, so one pass is enough for
 * any chain of kernels. The parameters of all dispatches are uploaded in one write.
 */
export class Recorder {
  #device: GPUDevice;
  #memory: Memory;
  #pipelines: PipelineCache;
  #groups: BindGroups;
  #pending: (Dispatched | Copied)[] = [];
  #params: ArrayBuffer = new ArrayBuffer(64 * 1024);
  #paramsLength = 0;
  #align: number;
  #storageAlign: number;
  #unused: GPUBuffer;
  /** Collects the time of each dispatch, which then gets a pass of its own. */
  profiler: Profiler | null = null;
  /** Number of submits with work since the device was opened. */
  submits = 0;
  /** Number of dispatches since the device was opened. */
  dispatches = 0;
  /** Multiplications and additions of all dispatches that state them. */
  flops = 0;

  /** `adapter`: see {@link PipelineCache}. */
  constructor(device: GPUDevice, memory: Memory, adapter: AdapterFacts, debug: Debug | null) {
    this.#device = device;
    this.#memory = memory;
    this.#pipelines = new PipelineCache(device, adapter, debug);
    this.#groups = new BindGroups(device);
    this.#align = device.limits.minUniformBufferOffsetAlignment;
    this.#storageAlign = device.limits.minStorageBufferOffsetAlignment;
    this.#unused = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  }

  /** Number of pipelines compiled so far. */
  get pipelines(): number {
    return this.#pipelines.size;
  }

  /** Records one dispatch, which runs after {@link Recorder.flush}. Drops a dispatch of no workgroups. */
  dispatch<B extends string, P extends string>(kernel: Kernel<B, P>, call: Dispatch<B, P>): void {
    const { specialise = {}, functions = "", workgroups } = call;
    if (workgroups.some((n) => n === 0)) return;
    const formats: TexelFormat[] = [];
    const resources = kernel.bindings.map(({ name }) => {
      const tensor = call.bind[name];
      if (tensor instanceof Texture) formats.push(tensor.format);
      return this.#resource(kernel.name, name, tensor);
    });
    this.#pending.push({
      done: this.profiler && {
        name: kernel.name,
        shape: call.work?.shape?.join("x") ?? "",
        flops: call.work?.flops ?? 0,
        bytes: call.work?.bytes ?? boundBytes(call.bind),
      },
      pipeline: this.#pipelines.pipeline(kernel, specialise, functions, formats),
      layout: this.#pipelines.layout(kernel, formats).bindings,
      resources,
      paramsOffset: this.#pushParams(kernel, call.params),
      paramsSize: paramsBytes(kernel),
      workgroups,
    });
    this.dispatches++;
    this.flops += call.work?.flops ?? 0;
    if (this.#pending.length >= MAX_PENDING) this.flush();
  }

  #resource(kernel: string, name: string, tensor: Tensor | Texture | null): GPUBindingResource {
    if (tensor === null) return { buffer: this.#unused };
    if (tensor instanceof Texture) return tensor.view();
    const offset = tensor.byteOffset;
    if (offset % this.#storageAlign !== 0) {
      throw new KernelError(
        "misaligned",
        `Cannot bind ${name} of ${kernel}: its offset ${offset} is not a multiple of ${this.#storageAlign}`,
      );
    }
    // whole vec4s; the size of a buffer is a multiple of 16, so it holds what is rounded up
    const size = Math.max(16, Math.ceil(tensor.byteLength / 16) * 16);
    return { buffer: tensor.buffer, offset, size };
  }

  #pushParams<P extends string>(
    kernel: Kernel<string, P>,
    values: Readonly<Record<P, number>>,
  ): number {
    const offset = this.#paramsLength;
    const bytes = paramsBytes(kernel);
    this.#paramsLength = Math.ceil((offset + bytes) / this.#align) * this.#align;
    if (this.#paramsLength > this.#params.byteLength) {
      this.#params = this.#params.transfer(this.#params.byteLength * 2);
    }
    const view = new DataView(this.#params, offset, bytes);
    kernel.params.forEach(({ name, type }, i) => {
      const value = values[name];
      if (type === "f32") view.setFloat32(i * 4, value, true);
      else if (type === "u32") view.setUint32(i * 4, value, true);
      else view.setInt32(i * 4, value, true);
    });
    return offset;
  }

  /** Records a copy of a tensor of whole vec4s to the beginning of a texture, which is faster than stores to it. */
  copy(tensor: Tensor, texture: GPUTexture, format: TexelFormat): void {
    this.#pending.push({
      source: {
        buffer: tensor.buffer,
        offset: tensor.byteOffset,
        bytesPerRow: TEXTURE_WIDTH * TEXEL_BYTES[format],
      },
      texture,
      texels: tensor.byteLength / TEXEL_BYTES[format],
    });
    if (this.#pending.length >= MAX_PENDING) this.flush();
  }

  /** Copies whole rows, then the rest. */
  #encodeCopy(encoder: GPUCommandEncoder, { source, texture, texels }: Copied): void {
    const rows = Math.floor(texels / TEXTURE_WIDTH);
    const rest = texels % TEXTURE_WIDTH;
    if (rows) encoder.copyBufferToTexture(source, { texture }, [TEXTURE_WIDTH, rows]);
    if (rest) {
      const offset = source.offset! + rows * source.bytesPerRow!;
      encoder.copyBufferToTexture({ ...source, offset }, { texture, origin: [0, rows] }, [rest, 1]);
    }
  }

  /** Submits what was recorded, and forgets all bind groups, whose memory is about to be destroyed. */
  forget(): void {
    this.flush();
    this.#groups.clear();
  }

  /** Encodes and submits what was recorded. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = Math.max(16, this.#paramsLength);
    const uniforms = this.#memory.allocate(bytes, "kernel parameters", "workspace", "uniform");
    this.#device.queue.writeBuffer(uniforms, 0, this.#params, 0, this.#paramsLength);
    const encoder = this.#device.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    for (const item of this.#pending) {
      if (this.profiler || "texture" in item) {
        pass?.end();
        pass = null;
      }
      if ("texture" in item) {
        this.#encodeCopy(encoder, item);
        continue;
      }
      pass ??= encoder.beginComputePass(item.done ? this.profiler?.pass(item.done) : undefined);
      pass.setPipeline(item.pipeline);
      const params = { buffer: uniforms, size: item.paramsSize };
      const group = this.#groups.group(item.layout, [params, ...item.resources]);
      pass.setBindGroup(0, group, [item.paramsOffset]);
      pass.dispatchWorkgroups(...(item.workgroups as [number, number, number]));
    }
    pass?.end();
    this.profiler?.resolve(encoder);
    this.#device.queue.submit([encoder.finish()]);
    this.#memory.release(uniforms);
    this.#pending = [];
    this.#paramsLength = 0;
    this.submits++;
  }
}
