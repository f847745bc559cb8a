import type { Problem } from "./cases.ts";
import { load, type Peer, type Prepared, Unsupported } from "./engine.ts";

type Data = Float32Array<ArrayBuffer>;

/** The part of webgpu-torch that is used here. */
interface Torch {
  initWebGPUAsync(): Promise<boolean>;
  tensor(data: number[]): TorchTensor;
  mm(x: TorchTensor, y: TorchTensor): TorchTensor;
}
interface TorchTensor {
  readonly storage: {
    readonly gpuDevice: GPUDevice;
    destroy(): void;
  };
  withShape(shape: number[], strides: number[]): TorchTensor;
  toArrayAsync(): Promise<Deep>;
}
type Deep = (number | Deep)[];

/** A function of tensors, and its arguments. */
interface Operation {
  readonly f: (...args: TorchTensor[]) => TorchTensor;
  readonly args: readonly (readonly [data: Data, ...shape: [number, number]])[];
}

function operation(torch: Torch, problem: Problem): Operation {
  switch (problem.op) {
    case "matmul": {
      const { M, K, N, x, w } = problem;
      return { f: (x, w) => torch.mm(x!, w!), args: [[x, M, K], [w, K, N]] };
    }
    case "silu":
      throw new Unsupported(
        "dispatches more than 65,535 workgroups for 4M elements, which does nothing",
      );
    case "mlp_step":
    case "attention_step":
      throw new Unsupported("has no gradient of products");
    case "conv2d":
      throw new Unsupported("its convolution ignores padding");
    default:
      throw new Unsupported(
        "has no softmax, normalisation, tanh GELU or resizing",
      );
  }
}

/** webgpu-torch, which runs eagerly, with one submit per operation. */
export class WebgpuTorch implements Peer {
  readonly name = "webgpu-torch";

  private constructor(private readonly torch: Torch) {}

  static async open(): Promise<WebgpuTorch> {
    const unmap = GPUBuffer.prototype.unmap;
    GPUBuffer.prototype.unmap = function () {
      // it also unmaps buffers that are not mapped, which throws in Deno
      if (this.mapState === "mapped") unmap.call(this);
    };
    const { default: torch } = await load<{ default: Torch }>("webgpu-torch");
    const log = console.log;
    console.log = () => {}; // it prints the device
    const found = await torch.initWebGPUAsync().finally(() => console.log = log);
    if (!found) throw new Error("it finds no device");
    return new WebgpuTorch(torch);
  }

  prepare(problem: Problem): Promise<Prepared> {
    const { f, args } = operation(this.torch, problem);
    const tensors = args.map(([data, rows, columns]) =>
      this.torch.tensor([...data]).withShape([rows, columns], [columns, 1])
    );
    let last: TorchTensor | undefined;
    return Promise.resolve({
      step: 1,
      async run(times) {
        for (let i = 0; i < times; i++) {
          last?.storage.destroy();
          last = f(...tensors);
        }
        await last!.storage.gpuDevice.queue.onSubmittedWorkDone();
      },
      output: async () => Float32Array.from((await last!.toArrayAsync()).flat() as number[]),
      dispose() {
        for (const tensor of [...tensors, last]) tensor?.storage.destroy();
      },
    });
  }
}
