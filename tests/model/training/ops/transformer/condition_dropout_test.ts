import { assertEquals } from "@std/assert";
import { Lookups } from "../../../../../kernels/tokens/lookups.ts";
import {
  conditionDropout,
  droppedRows,
} from "../../../../../model/training/ops/transformer/condition_dropout.ts";
import { Parameters } from "../../../../../model/training/tape/parameters.ts";
import { Tape } from "../../../../../model/training/tape/tape.ts";
import { device, upload } from "../../../../harness.ts";

Deno.test("conditionDropout() puts the first rows of cfg_uncond in place of features, both ways", async () => {
  const specs = [
    { name: "features", shape: [6, 1], decay: false },
    { name: "uncond", shape: [4, 1], decay: false },
  ];
  using parameters = new Parameters(device, specs);
  const [features, uncond] = specs.map(({ name }) => parameters.get(name));
  device.upload(features!.value, Float32Array.of(1, 2, 3, 4, 5, 6));
  device.upload(uncond!.value, Float32Array.of(10, 20, 30, 40));

  using lookups = new Lookups(device, droppedRows([2, 1, 3], [true, false, true]), 4);
  const tape = new Tape(device);
  const y = conditionDropout(tape, features!, uncond!, lookups);
  assertEquals([...await device.read(y.value)], [10, 20, 3, 10, 20, 30]);
  y.take(upload("f32", [6, 1], [1, 2, 3, 4, 5, 6]));
  tape.unwind();
  assertEquals([...await device.read(features!.grad!)], [0, 0, 3, 0, 0, 0]);
  assertEquals([...await device.read(uncond!.grad!)], [5, 7, 6, 0]);
});
