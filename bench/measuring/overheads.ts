import { heat } from "./heat.ts";
import { median, wallTime } from "./measure.ts";
import { Spans } from "./spans.ts";
import { defineKernel, type Device } from "../../engine/mod.ts";

const nothingKernel = defineKernel(
  "nothing",
  `struct Params { zero: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] = params.zero; }`,
  ["y"],
  ["zero"],
);

/** Costs of doing nothing, in microseconds. */
export interface Overheads {
  /** One of many dispatches in one submit: encoding, sending and running it. */
  readonly dispatch: number;
  /** The part of it that the JavaScript thread spends on recording and encoding. */
  readonly encode: number;
  /** The part of it that the GPU spends, each dispatch waiting for the one before; absent without timestamps. */
  readonly gpu?: number;
  /** One of many submits of one dispatch each. */
  readonly submit: number;
  /** Reading back 16 bytes while the GPU is idle. */
  readonly readBack: number;
}

/** Measures overheads. The device must not be profiled. */
export async function overheads(device: Device): Promise<Overheads> {
  using y = device.tensor("u32", [4]);
  const nothing = () =>
    device.run(nothingKernel, { bind: { y }, params: { zero: 0 }, workgroups: [1] });
  const MANY = 1000;
  const time = async (run: () => void) => {
    const samples: number[] = [];
    for (let i = 0; i < 5; i++) {
      await device.finish();
      samples.push(await wallTime(() => (run(), device.finish())));
    }
    return median(samples);
  };
  nothing();
  await heat(device);
  const idle = await time(() => {});
  let encode = Infinity;
  const dispatches = await time(() => {
    const began = performance.now();
    for (let i = 0; i < MANY; i++) nothing();
    device.flush();
    encode = Math.min(encode, performance.now() - began);
  });
  const submits = await time(() => {
    for (let i = 0; i < MANY / 10; i++) nothing(), device.flush();
  });
  const reads: number[] = [];
  for (let i = 0; i < 9; i++) reads.push(await wallTime(() => device.read(y)));
  const spans = Spans.of(device);
  spans?.begin("dispatches");
  for (let i = 0; i < MANY; i++) nothing();
  device.flush();
  const gpu = await spans?.report();
  return {
    dispatch: 1000 * Math.max(0, dispatches - idle) / MANY,
    encode: 1000 * encode / MANY,
    ...gpu && { gpu: 1000 * gpu.all.milliseconds / MANY },
    submit: 1000 * Math.max(0, submits - idle) / (MANY / 10),
    readBack: 1000 * median(reads),
  };
}
