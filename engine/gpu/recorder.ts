import { BindGroups, type Bound } from "./bind_groups.ts";
import type { Debug } from "../base/debug.ts";
import { KernelError } from "../base/errors.ts";
import type { Dispatch, Kernel } from "./kernel.ts";
import { type AdapterFacts, type Pipeline, PipelineCache } from "./pipelines.ts";
import type { Profiler } from "./profiler.ts";
import type { Tensor } from "./tensor.ts";
import { TEXEL_BYTES, type TexelFormat, Texture, TEXTURE_WIDTH } from "./texture.ts";

/** Number of recorded commands at which they are submitted: enough to fill a GPU, few enough to start it early. */
const MAX_PENDING = 1024;

/**
 * Operations of one submit at most, unless a single dispatch has more: a second of a slow GPU, because drivers reset
 * one that seems to hang (Windows after two seconds). The slowest with tensor cores do eight times as many.
 */
const MAX_FLOPS = { plain: 1e12, matrices: 8e12 } as const;

/** Bytes of the parameters of all dispatches of one submit: an adapter aligns those of each to 256 at most. */
const PARAMS_BYTES = MAX_PENDING * 256;

/** Size of the uniform struct of a kernel, in whole units of 16 bytes. */
function paramsBytes(kernel: Kernel): number {
  return Math.max(16, Math.ceil(kernel.params.length / 4) * 16);
}

function boundBytes(bind: Readonly<Record<string, Tensor | Texture | null>>): number {
  return Object.values(bind).reduce((sum, bound) => sum + (bound?.byteLength ?? 0), 0);
}

const NOTHING = {};

/** More than any kernel has. */
const MOST_BINDINGS = 32;

/** What every dispatch needs. */
interface Shared {
  /** Stands for what a specialisation does not bind, and would only read. */
  readonly unused: GPUBuffer;
  /** Likewise for what it would write: a place for each binding, since those must not overlap. */
  readonly unwritten: GPUBuffer;
  /** The parameters of all dispatches of a submit. */
  readonly uniforms: GPUBuffer;
  /** Groups that bind them. */
  readonly groups: BindGroups;
  /** The view of each texture, made once, so that groups of the same texture are found again. */
  readonly views: WeakMap<GPUTexture, GPUTextureView>;
}

/** Formats of the textures among what a kernel binds, in order. */
function formatsOf<B extends string>(
  { bindings }: Kernel<B>,
  bind: Readonly<Record<B, Tensor | Texture | null>>,
): TexelFormat[] {
  return bindings.map(({ name }) => bind[name]).filter((bound) => bound instanceof Texture)
    .map(({ format }) => format);
}

/**
 * Records dispatches and submits them in one compute pass.
 *
 * WebGPU orders the dispatches of a pass and makes the writes of each visible to the next, so one pass is enough for
 * any chain of kernels. The parameters of all dispatches are uploaded in one write, to one buffer that serves every
 * submit. A dispatch that was recorded before costs no allocation and no text.
 */
export class Recorder {
  #device: GPUDevice;
  /** What was compiled. */
  readonly pipelines: PipelineCache;
  #shared: Shared | null = null;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  /** The pipeline that the pass has. */
  #set: GPUComputePipeline | null = null;
  /** Commands since the last submit. */
  #pending = 0;
  /** Operations since the last submit, and how many it may have. */
  #pendingFlops = 0;
  #maxFlops: number;
  #params: Uint8Array<ArrayBuffer> = new Uint8Array(PARAMS_BYTES);
  /** The same bytes as numbers; WGSL and all hosts of WebGPU put the low byte first. */
  #floats: Float32Array = new Float32Array(this.#params.buffer);
  #integers: Uint32Array = new Uint32Array(this.#params.buffer);
  #paramsLength = 0;
  #paramsOffset: Uint32Array<ArrayBuffer> = new Uint32Array(1);
  #align: number;
  #storageAlign: number;
  #bound: Bound = { objects: [], offsets: [], sizes: [] };
  /** Collects the time of each dispatch, which then gets a pass of its own. */
  profiler: Profiler | null = null;
  /** Number of submits with work since the device was opened. */
  submits = 0;
  /** Number of dispatches since the device was opened. */
  dispatches = 0;
  /** Multiplications and additions of all dispatches that state them. */
  flops = 0;

  /** `adapter`: see {@link PipelineCache}. */
  constructor(device: GPUDevice, adapter: AdapterFacts, debug: Debug | null) {
    this.#device = device;
    this.pipelines = new PipelineCache(device, adapter, debug);
    const { subgroupMatrices } = adapter.capabilities;
    this.#maxFlops = subgroupMatrices.length > 0 ? MAX_FLOPS.matrices : MAX_FLOPS.plain;
    this.#align = device.limits.minUniformBufferOffsetAlignment;
    this.#storageAlign = device.limits.minStorageBufferOffsetAlignment;
  }

  /** Made at the first dispatch: then an error is one of the work, not of the device. */
  #share(): Shared {
    const device = this.#device;
    const { STORAGE: usage } = GPUBufferUsage;
    const unused = device.createBuffer({ size: 16, usage });
    const unwritten = device.createBuffer({ size: MOST_BINDINGS * this.#storageAlign, usage });
    const uniforms = device.createBuffer({
      label: "kernel parameters",
      size: PARAMS_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const groups = new BindGroups(device, uniforms);
    return this.#shared = { unused, unwritten, uniforms, groups, views: new WeakMap() };
  }

  /** Records one dispatch, which runs after {@link Recorder.flush}. Drops a dispatch of no workgroups. */
  dispatch<B extends string, P extends string>(kernel: Kernel<B, P>, call: Dispatch<B, P>): void {
    const [x, y = 1, z = 1] = call.workgroups;
    if (x === 0 || y === 0 || z === 0) return;
    const { layout, compiled, floats } = this.#pipeline(kernel, call);
    const shared = this.#shared ?? this.#share();
    this.#bind(kernel, call.bind, floats, shared);
    const bytes = paramsBytes(kernel);
    const flops = call.work?.flops ?? 0;
    if (
      this.#pending >= MAX_PENDING || this.#paramsLength + bytes > PARAMS_BYTES ||
      this.#pendingFlops + flops > this.#maxFlops
    ) this.flush();
    const group = shared.groups.group(layout, bytes, this.#bound);
    this.#pushParams(kernel, call.params, bytes);
    const pass = this.#passOf(kernel, call);
    if (compiled !== this.#set) pass.setPipeline(this.#set = compiled);
    pass.setBindGroup(0, group, this.#paramsOffset, 0, 1);
    pass.dispatchWorkgroups(x, y, z);
    this.#pending++;
    this.dispatches++;
    this.flops += flops;
    this.#pendingFlops += flops;
  }

  #pipeline<B extends string>(kernel: Kernel<B>, call: Dispatch<B>): Pipeline {
    const { specialise = NOTHING, functions = "" } = call;
    const found = this.pipelines.find(kernel, specialise, functions);
    if (found) return found;
    const formats = formatsOf(kernel, call.bind);
    return this.pipelines.compile({ kernel, specialise, functions, formats });
  }

  /** Fills `#bound`. */
  #bind<B extends string>(
    kernel: Kernel<B>,
    bind: Readonly<Record<B, Tensor | Texture | null>>,
    floats: Pipeline["floats"],
    { unused, unwritten, views }: Shared,
  ): void {
    const { objects, offsets, sizes } = this.#bound;
    const { bindings } = kernel;
    objects.length = offsets.length = sizes.length = bindings.length;
    for (let i = 0; i < bindings.length; i++) {
      const { name, type } = bindings[i]!;
      const tensor = bind[name];
      const written = type === "storage";
      if (tensor instanceof Texture) {
        const { texture } = tensor;
        let view = views.get(texture);
        if (!view) views.set(texture, view = texture.createView());
        objects[i] = view;
        offsets[i] = sizes[i] = 0;
        continue;
      }
      const float = floats[i];
      if (tensor && float && tensor.dtype !== float) {
        throw new KernelError(
          "bad-type",
          `Cannot bind ${tensor.dtype} to ${name} of ${kernel.name}, which takes ${float}`,
        );
      }
      const buffer = objects[i] = tensor?.buffer ?? (written ? unwritten : unused);
      const offset = offsets[i] = tensor?.byteOffset ?? (written ? i * this.#storageAlign : 0);
      if (offset % this.#storageAlign !== 0) {
        throw new KernelError(
          "misaligned",
          `Cannot bind ${name} of ${kernel.name}: its offset ${offset} is not a multiple of ${this.#storageAlign}`,
        );
      }
      sizes[i] = tensor?.reachableBytes ?? 16;
      for (let j = 0; j < i; j++) {
        if (objects[j] !== buffer || !tensor) continue;
        // two views of one tensor must not overlap where one of them is written
        sizes[i] = tensor.paddedBytes;
        sizes[j] = (bind[bindings[j]!.name] as Tensor).paddedBytes;
      }
    }
  }

  /** Writes parameters, and their place to `#paramsOffset`. */
  #pushParams<P extends string>(
    { params }: Kernel<string, P>,
    values: Readonly<Record<P, number>>,
    bytes: number,
  ): void {
    const offset = this.#paramsOffset[0] = this.#paramsLength;
    this.#paramsLength = Math.ceil((offset + bytes) / this.#align) * this.#align;
    for (let i = 0; i < params.length; i++) {
      const { name, type } = params[i]!;
      if (type === "f32") this.#floats[offset / 4 + i] = values[name];
      else this.#integers[offset / 4 + i] = values[name];
    }
  }

  /** The pass of the next dispatch: the one that is open, or with a profiler one of its own. */
  #passOf<B extends string>(kernel: Kernel<B>, { bind, work }: Dispatch<B>): GPUComputePassEncoder {
    this.#encoder ??= this.#device.createCommandEncoder();
    if (!this.profiler) return this.#pass ??= this.#encoder.beginComputePass();
    this.#endPass();
    return this.#pass = this.#encoder.beginComputePass(this.profiler.pass({
      name: kernel.name,
      shape: work?.shape?.join("x") ?? "",
      flops: work?.flops ?? 0,
      bytes: work?.bytes ?? boundBytes(bind),
    }));
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = this.#set = null;
  }

  /** Records a copy of a tensor of whole vec4s to the beginning of a texture, which is faster than stores to it. */
  copy(tensor: Tensor, texture: GPUTexture, format: TexelFormat): void {
    if (this.#pending >= MAX_PENDING) this.flush();
    const encoder = this.#encoder ??= this.#device.createCommandEncoder();
    this.#endPass();
    const bytesPerRow = TEXTURE_WIDTH * TEXEL_BYTES[format];
    const source = { buffer: tensor.buffer, offset: tensor.byteOffset, bytesPerRow };
    const texels = tensor.byteLength / TEXEL_BYTES[format];
    const rows = Math.floor(texels / TEXTURE_WIDTH); // whole ones, then the rest
    const rest = texels % TEXTURE_WIDTH;
    if (rows) encoder.copyBufferToTexture(source, { texture }, [TEXTURE_WIDTH, rows]);
    if (rest) {
      const offset = source.offset + rows * bytesPerRow;
      encoder.copyBufferToTexture({ ...source, offset }, { texture, origin: [0, rows] }, [rest, 1]);
    }
    this.#pending++;
  }

  /** Forgets all bind groups, whose memory is about to be destroyed. */
  forgetGroups(): void {
    this.#shared?.groups.clear();
  }

  /** Forgets what was recorded: after an error in the midst of it, no submit may have it. */
  drop(): void {
    this.#encoder = this.#pass = this.#set = null;
    this.profiler?.drop();
    this.#begin();
  }

  /** Forgets everything that an error of the GPU may have broken. */
  reset(): void {
    this.drop();
    this.#shared?.unused.destroy();
    this.#shared?.unwritten.destroy();
    this.#shared?.uniforms.destroy();
    this.#shared = null;
    this.pipelines.forget();
  }

  /** Counts for the next submit. */
  #begin(): void {
    this.#pending = this.#pendingFlops = 0;
    this.#paramsLength = 0;
  }

  /** Submits what was recorded. */
  flush(): void {
    if (!this.#encoder) return;
    this.#endPass();
    this.profiler?.resolve(this.#encoder);
    const { queue } = this.#device;
    if (this.#paramsLength) {
      queue.writeBuffer(this.#shared!.uniforms, 0, this.#params, 0, this.#paramsLength);
    }
    queue.submit([this.#encoder.finish()]);
    this.#encoder = null;
    this.#begin();
    this.submits++;
  }
}
