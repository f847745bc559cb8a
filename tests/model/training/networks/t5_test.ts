import { assertEquals } from "@std/assert";
import { t5Shapes } from "../../../../model/checkpoint/tensor_shapes.ts";
import type { T5Config } from "../../../../model/config/types.ts";
import { parameterSpecs } from "../../../../model/training/networks/parameter_specs.ts";
import { T5Network } from "../../../../model/training/networks/t5.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import { Tape } from "../../../../model/training/tape/tape.ts";
import { golden } from "../../../goldens.ts";
import { assertNear, device, random, values } from "../../../harness.ts";

/** t5_tiny with parameters that can be trained. */
async function load() {
  const weights = await golden("t5_tiny");
  const config = weights.config as T5Config;
  const specs = parameterSpecs(t5Shapes(config));
  const parameters = new Parameters(device, specs);
  for (const { name } of specs) {
    device.upload(parameters.get(name).value, weights.tensor(name).data);
  }
  return { config, parameters };
}

/** The first `lens` tokens of the golden's prompts. */
async function prompts(lens: readonly number[]): Promise<number[][]> {
  const { data, shape } = (await golden("t5_tiny.golden")).tensor<Int32Array<ArrayBuffer>>(
    "input_ids",
  );
  return lens.map((n, i) => [...data.subarray(i * shape[1]!, i * shape[1]! + n)]);
}

Deno.test("golden: features of T5 on a tape", async () => {
  const { config, parameters } = await load();
  const network = new T5Network(device, config, parameters);
  const lens = [150, 23];
  const tape = new Tape(device);
  const features = network.features(tape, await prompts(lens));
  const read = await device.read(features.value);
  tape.dispose();
  const { data, shape } = (await golden("t5_tiny.golden")).tensor("last_hidden_state");
  const [, T = 0, C = 0] = shape;
  const rows = lens.flatMap((n, i) => [...data.subarray(i * T * C, (i * T + n) * C)]);
  assertNear(read as Float32Array, rows, 2e-5);
  network.dispose();
  parameters.dispose();
});

Deno.test("Gradients of T5 are slopes along themselves, for each parameter", async () => {
  const { config, parameters } = await load();
  const network = new T5Network(device, config, parameters);
  const ids = await prompts([9, 5]);
  const next = random(5);
  const dy = Float32Array.from(values(next, 14 * config.d_model));
  /** Σ dy · features. */
  const loss = async () => {
    const tape = new Tape(device);
    const read = await device.read(network.features(tape, ids).value) as Float32Array;
    tape.dispose();
    return read.reduce((sum, v, i) => sum + v * dy[i]!, 0);
  };
  const tape = new Tape(device);
  network.features(tape, ids).take(device.from("f32", [14, config.d_model], dy));
  tape.unwind();
  for (const { name } of parameters.specs) {
    const { value, grad } = parameters.get(name);
    const before = await device.read(value) as Float32Array<ArrayBuffer>;
    const gradient = await device.read(grad!) as Float32Array;
    // along the gradient itself, so that the slope is its norm: large against the noise of f32
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    const size = Math.sqrt(before.reduce((sum, v) => sum + v * v, 0));
    const along = async (step: number) => {
      device.upload(value, before.map((v, i) => v + step * gradient[i]!));
      return await loss();
    };
    const slope = async (step: number) => (await along(step) - await along(-step)) / (2 * step);
    const step = 2e-3 * size / norm;
    // two steps tell how the slope bends
    const slopes = [await slope(step), await slope(step / 2)];
    device.upload(value, before);
    assertNear([(4 * slopes[1]! - slopes[0]!) / 3], [norm * norm], 2e-3, name);
  }
  network.dispose();
  parameters.dispose();
  assertEquals(device.memory.liveBytes, 0);
});
