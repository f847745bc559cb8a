import { assertEquals } from "@std/assert";
import { parameterShapes } from "../../../../model/checkpoint/tensor_shapes.ts";
import { parameterSpecs } from "../../../../model/training/networks/parameter_specs.ts";
import { golden } from "../../../goldens.ts";

Deno.test("parameterSpecs() groups parameters as the official optimiser does", async () => {
  const { config: { cases: { adamw } } } = await golden("loss");
  const { config } = await golden("transformer_tiny");
  const specs = parameterSpecs(parameterShapes(config));
  const names = (decay: boolean) =>
    specs.filter((spec) => spec.decay === decay).map(({ name }) => name).sort();
  assertEquals(names(true), adamw.decay.toSorted());
  assertEquals(names(false), adamw.no_decay.toSorted());
});
