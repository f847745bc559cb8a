import { wallTime } from "../measuring/measure.ts";
import { type Problem, resultLength } from "./cases.ts";
import { load, type Peer, type Prepared } from "./engine.ts";
import { encodeModel } from "./onnx.ts";
import { type Operation, operation } from "./onnx_graphs.ts";

type Data = Float32Array<ArrayBuffer>;

/** The part of onnxruntime-web that is used here. */
interface Ort {
  readonly env: {
    readonly wasm: { numThreads: number };
    readonly webgpu: { readonly device: Promise<GPUDevice> };
    logLevel: "error";
  };
  readonly Tensor: {
    fromGpuBuffer(
      buffer: GPUBuffer,
      options: { dataType: "float32"; dims: readonly number[] },
    ): OrtTensor;
  };
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: Record<string, unknown>,
    ): Promise<Session>;
  };
}
interface OrtTensor {
  dispose(): void;
}
interface Session {
  run(
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor>,
  ): Promise<unknown>;
  release(): Promise<void>;
}

/** A call of a session costs about a millisecond, so a graph repeats work that is shorter than this. */
const SHORT = 20;
const COPIES = 16;

/** A model that does the same work several times, on inputs that it cannot know to be the same. */
function model(
  { nodes, inputs, constants, shape }: Operation,
  copies: number,
): Uint8Array {
  const own = (name: string, copy: number) => name && !(name in constants) ? name + copy : name;
  const each = <T>(make: (copy: number) => T[]) =>
    Array.from({ length: copies }, (_, copy) => make(copy)).flat();
  return encodeModel({
    nodes: each((copy) =>
      nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map((name) => own(name, copy)),
        outputs: node.outputs.map((name) => own(name, copy)),
      }))
    ),
    inputs: Object.fromEntries(
      each((copy) =>
        Object.entries(inputs).map((
          [name, [, ...shape]],
        ) => [name + copy, shape])
      ),
    ),
    outputs: Object.fromEntries(each((copy) => [[`y${copy}`, shape]])),
    constants: Object.fromEntries(
      Object.entries(constants).map((
        [name, [data, ...shape]],
      ) => [name, { data, shape }]),
    ),
  });
}

/** onnxruntime-web: its WebGPU execution provider in C++, or the older one in JavaScript (JSEP). */
export class OnnxRuntime implements Peer {
  private constructor(
    private readonly ort: Ort,
    private readonly build: "webgpu" | "jsep",
  ) {}

  get name(): string {
    return `onnxruntime-web ${this.build}`;
  }

  static async open(build: "webgpu" | "jsep"): Promise<OnnxRuntime> {
    acceptSharedMemory();
    const ort = await load<Ort>(
      `onnxruntime-web/${build === "jsep" ? "all" : build}`,
    );
    ort.env.wasm.numThreads = 1; // threads for CPU operations, of which there are none here
    ort.env.logLevel = "error";
    return new OnnxRuntime(ort, build);
  }

  async prepare(problem: Problem): Promise<Prepared> {
    const single = await this.#session(problem, 1);
    await single.run(1);
    if (await wallTime(() => single.run(1)) > SHORT) return single;
    single.dispose();
    return await this.#session(problem, COPIES);
  }

  async #session(problem: Problem, copies: number): Promise<Prepared> {
    const { ort } = this;
    const op = operation(problem, this.build === "jsep");
    const session = await ort.InferenceSession.create(model(op, copies), {
      executionProviders: [{
        name: "webgpu",
        preferredLayout: "NHWC",
        validationMode: "disabled",
      }],
      preferredOutputLocation: "gpu-buffer",
    });
    const device = await ort.env.webgpu.device;
    const buffers: GPUBuffer[] = [];
    const tensor = (dims: readonly number[], data?: Data) => {
      const size = 4 * dims.reduce((a, b) => a * b, 1);
      const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
      const buffer = device.createBuffer({
        size,
        usage: STORAGE | COPY_SRC | COPY_DST,
      });
      buffers.push(buffer);
      if (data) device.queue.writeBuffer(buffer, 0, data);
      return buffer;
    };
    const bound = (name: string, buffer: GPUBuffer, dims: readonly number[]) =>
      Array.from({ length: copies }, (_, copy) => {
        const options = { dataType: "float32", dims } as const;
        return [
          name + copy,
          ort.Tensor.fromGpuBuffer(buffer, options),
        ] as const;
      });
    const feeds = Object.fromEntries(
      Object.entries(op.inputs).flatMap(([name, [data, ...dims]]) =>
        bound(name, tensor(dims, data), dims)
      ),
    );
    const y = tensor(op.shape);
    const fetches = Object.fromEntries(bound("y", y, op.shape));
    return {
      step: copies,
      async run(times) {
        for (let i = 0; i < times; i += copies) {
          await session.run(feeds, fetches);
        }
        await device.queue.onSubmittedWorkDone();
      },
      async output() {
        const data = await readBuffer(device, y, resultLength(problem));
        return op.layout?.(data) ?? data;
      },
      dispose() {
        for (const buffer of buffers) buffer.destroy();
        session.release();
      },
    };
  }
}

async function readBuffer(
  device: GPUDevice,
  from: GPUBuffer,
  length: number,
): Promise<Data> {
  const size = 4 * length;
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = device.createBuffer({ size, usage });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const data = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return data;
}

/** Copies uploads first: JSEP uploads from shared WebAssembly memory, which Deno's `writeBuffer` refuses. */
function acceptSharedMemory(): void {
  const write = GPUQueue.prototype.writeBuffer;
  GPUQueue.prototype.writeBuffer = function (
    buffer,
    at,
    data,
    offset = 0,
    size,
  ) {
    if (!(data instanceof SharedArrayBuffer)) {
      return write.call(this, buffer, at, data, offset, size);
    }
    return write.call(
      this,
      buffer,
      at,
      new Uint8Array(data, offset, size).slice(),
    );
  };
}
