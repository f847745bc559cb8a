import { assert, assertEquals, assertThrows } from "@std/assert";
import { InputError, type Tensor } from "../../../../engine/mod.ts";
import { vaeShapes } from "../../../../model/checkpoint/tensor_shapes.ts";
import type { Grid } from "../../../../model/config/grid.ts";
import type { VaeConfig } from "../../../../model/config/types.ts";
import { parameterSpecs } from "../../../../model/training/networks/parameter_specs.ts";
import { VaeNetwork, type VaeNetworkOptions } from "../../../../model/training/networks/vae.ts";
import { reconstructionLoss } from "../../../../model/training/ops/losses/reconstruction_loss.ts";
import { quantise } from "../../../../model/training/ops/tokenizer/quantise.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import { Tape, type TapeOptions } from "../../../../model/training/tape/tape.ts";
import { Variable } from "../../../../model/training/tape/variable.ts";
import { type Golden, golden } from "../../../goldens.ts";
import { assertNear, device, NEED_F16, relativeError, upload } from "../../../harness.ts";
import { channelsLast } from "../../../kernels/images.ts";

type Values = Float32Array<ArrayBuffer>;

const weights = await golden("vae_d16");
const expected = await golden("vae_train");
const { codebook_dim, base_ch, num_res_blocks, ch_mult, patch_size } = expected.config.vae;
const CONFIG: VaeConfig = {
  codebook_dim,
  base_ch,
  num_res_blocks,
  patch_size,
  encoder_ch_mult: ch_mult,
  decoder_ch_mult: ch_mult,
};
const SCHEDULE: Grid[] = expected.config.schedule.map(([, h, w]: number[]) => [h, w]);

/** A golden [B, C, H, W], channels last. */
function image(file: Golden, name: string) {
  return channelsLast(file.tensor(name));
}

function uploaded(file: Golden, name: string): Tensor {
  const { shape, data } = image(file, name);
  return upload("f32", shape, data);
}

/** The golden's weights. */
function loaded(only = /^/): Parameters {
  const parameters = new Parameters(
    device,
    parameterSpecs(vaeShapes(CONFIG)).filter(({ name }) => only.test(name)),
  );
  for (const { name } of parameters.specs) {
    device.upload(parameters.get(name).value, weights.tensor(name).data);
  }
  return parameters;
}

/** Gradients by name. */
async function gradients(parameters: Parameters): Promise<Map<string, Values>> {
  const names = parameters.specs.map(({ name }) => name);
  const read = await device.readAll(names.map((name) => parameters.get(name).grad!));
  return new Map(names.map((name, i) => [name, read[i] as Values]));
}

/** Compares with all norms of the golden, and with those gradients that it has. */
function assertGradients(found: Map<string, Values>): void {
  for (const [name, values] of found) {
    const norm = expected.config.gradnorm[name];
    // a norm takes the bias of the convolution before it away: what remains is rounding
    assert(
      Math.abs(Math.hypot(...values) - norm) <= 1e-4 * norm + 1e-6,
      `‖${name}‖ is not ${norm}`,
    );
    if (!expected.has(`grad.${name}`)) continue;
    const { data } = expected.tensor(`grad.${name}`);
    if (norm > 1e-6) assertNear(values, data, 1e-4, name);
  }
}

/** Sends the gradient of the mean of |recon − img|; the loss is the first of the numbers that it returns. */
function absoluteLoss(tape: Tape, recon: Variable, target: Tensor): Tensor {
  const stats = device.tensor("f32", [4], "losses");
  reconstructionLoss(tape, recon, { target, l1: 1, stats: { tensor: stats, add: false } });
  return stats;
}

/** A step: loss and gradients by parameters, features and codes. */
async function step(
  parameters: Parameters,
  options: VaeNetworkOptions = {},
  tapeOptions: TapeOptions = {},
) {
  const network = new VaeNetwork(CONFIG, parameters, options);
  parameters.clearGradients();
  using images = uploaded(expected, "img");
  using tape = new Tape(device, tapeOptions);
  device.memory.resetPeak();
  const before = device.memory.liveBytes;
  const h = network.encode(tape, tape.constant(images));
  const z = quantise(tape, h, { schedule: SCHEDULE });
  const recon = network.decode(tape, z);
  using stats = absoluteLoss(tape, recon, images);
  const [features, codes, sums] = await device.readAll([h.value, z.value, stats]);
  const held = device.memory.liveBytes - before;
  tape.unwind();
  return { features, codes, loss: sums![0]!, held, gradients: await gradients(parameters) };
}

Deno.test("golden: the tokenizer's features, codes, loss and gradients are the official code's", async () => {
  const parameters = loaded();
  const { features, codes, loss, gradients } = await step(parameters);
  assertNear(features as Values, image(expected, "h").data, 2e-5, "h");
  assertNear(codes as Values, image(expected, "z").data, 1e-6, "z");
  const official = expected.tensor("loss_l1").data[0]!;
  assert(Math.abs(loss - official) <= 1e-5 * official, `loss ${loss}, not ${official}`);
  assertGradients(gradients);
  parameters.dispose();
});

Deno.test("golden: gradients by features and codes are the official code's", async () => {
  const parameters = loaded();
  const network = new VaeNetwork(CONFIG, parameters);
  using tape = new Tape(device);
  const h = Variable.tracked(device, uploaded(expected, "h"));
  const z = quantise(tape, h, { schedule: SCHEDULE });
  const split = Variable.tracked(device, z.value.reshape(...z.value.shape));
  using decoding = new Tape(device);
  const recon = network.decode(decoding, split);
  using images = uploaded(expected, "img");
  using _stats = absoluteLoss(decoding, recon, images);
  decoding.unwind();
  assertNear(await device.read(split.grad!) as Values, image(expected, "grad_z").data, 1e-4);
  z.take(split.release()!);
  tape.unwind();
  assertNear(await device.read(h.grad!) as Values, image(expected, "grad_h").data, 1e-4);
  parameters.dispose();
});

Deno.test("VaeNetwork recomputes blocks: the same bits in less memory", async () => {
  const parameters = loaded();
  const once = await step(parameters);
  const twice = await step(parameters, { recompute: true });
  assertEquals(twice.loss, once.loss);
  for (const [name, values] of once.gradients) {
    assertEquals(twice.gradients.get(name), values, name);
  }
  assert(twice.held < once.held / 2.5, `${twice.held} bytes of ${once.held}`);
  parameters.dispose();
});

Deno.test("VaeNetwork decodes with the parameters of a decoder alone, and leaves no memory behind", async () => {
  const before = device.memory.liveBytes;
  const parameters = loaded(/^decoder\./);
  const network = new VaeNetwork(CONFIG, parameters);
  const z = uploaded(expected, "z");
  {
    using tape = new Tape(device);
    const recon = network.decode(tape, tape.constant(z));
    recon.take(upload("f32", recon.value.shape, new Float32Array(recon.value.elements).fill(1)));
    tape.unwind();
    await device.finish();
  }
  z.dispose();
  parameters.dispose();
  assertEquals(device.memory.liveBytes, before);
});

Deno.test({
  name: `VaeNetwork trains in f16 with a scaled loss: gradients are near those of f32${NEED_F16}`,
  ignore: NEED_F16 !== "",
  async fn() {
    const parameters = loaded();
    const exact = await step(parameters);
    const half = await step(parameters, {}, { dtype: "f16", lossScale: 1024 });
    assert(Math.abs(half.loss - exact.loss) < 2e-3 * exact.loss, `${half.loss}, not ${exact.loss}`);
    const all = (gradients: Map<string, Values>, scale: number) =>
      [...gradients.values()].flatMap((values) => Array.from(values, (v) => v / scale));
    const error = relativeError(all(half.gradients, 1024), all(exact.gradients, 1));
    assert(error < 0.03, `relative error ${error}`);
    parameters.dispose();
  },
});

Deno.test("VaeNetwork refuses images and codes of other shapes", () => {
  const parameters = loaded(/^decoder\.conv_in/);
  const network = new VaeNetwork(CONFIG, parameters);
  using tape = new Tape(device);
  const wrong = (...shape: number[]) => tape.constant(device.tensor("f32", shape));
  for (const shape of [[1, 16, 16, 4], [1, 17, 16, 3], [1, 16, 0, 3]]) {
    assertThrows(() => network.encode(tape, wrong(...shape)), InputError, "Cannot encode");
  }
  assertThrows(() => network.decode(tape, wrong(1, 2, 2, 15)), InputError, "Cannot decode");
  parameters.dispose();
});
