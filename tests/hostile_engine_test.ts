import * as engine from "../engine/mod.ts";
import { type Hostile, testHostile } from "./hostile_values.ts";

const data = Float32Array.of(1, 2);
const file = engine.encodeSafetensors([{ name: "a", dtype: "F32", shape: [2], data }]);
const device = await engine.Device.open({ gpu: engine.dryGpu(), debug: { level: 0 } });
const [from, to] = [device.tensor("f32", [2], "from"), device.tensor("f32", [8], "to")];

const ANY_TEXT = "'', '7', 'x'";

const CASES: readonly Hostile[] = [
  {
    name: "bytesSource",
    call: (name: string, bytes: Uint8Array) =>
      engine.Safetensors.open(engine.bytesSource(name, bytes)),
    args: ["a name", file],
    takes: [`0: ${ANY_TEXT}`],
  },
  {
    name: "blobSource",
    call: (name: string, blob: Blob) => engine.Safetensors.open(engine.blobSource(name, blob)),
    args: ["a name", new Blob([file])],
    takes: [`0: ${ANY_TEXT}`],
  },
  {
    name: "Safetensors.open",
    call: (source: engine.ByteSource) => engine.Safetensors.open(source),
    args: [Object.create(engine.bytesSource("a name", file))],
  },
  { name: "dtypeBytes", call: engine.dtypeBytes, args: ["F32"] },
  {
    name: "viewAs",
    call: engine.viewAs,
    args: [new Uint8Array(8), "F32"],
    takes: ["0: no bytes"],
  },
  {
    name: "toFloat32",
    call: engine.toFloat32,
    args: [new Uint8Array(8), "F32"],
    takes: ["0: no bytes"],
  },
  {
    name: "device.tensor",
    call: (dtype: engine.TensorDType, shape: number[]) => device.tensor(dtype, shape).dispose(),
    args: ["f32", [2, 3]],
    takes: ["1: []"],
  },
  {
    name: "device.upload",
    call: (tensor: engine.Tensor, values: engine.TensorData, offset: number) =>
      device.upload(tensor, values, offset),
    args: [to, data, 4],
    takes: ["1: any", "2: undefined"],
  },
  {
    name: "device.copy",
    call: (a: engine.Tensor, b: engine.Tensor, offset: number) => device.copy(a, b, offset),
    args: [from, to, 0],
    takes: ["2: undefined"],
  },
];

testHostile(CASES);
