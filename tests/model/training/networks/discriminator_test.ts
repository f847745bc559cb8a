import { assert, assertEquals } from "@std/assert";
import type { Tensor } from "../../../../engine/mod.ts";
import { initialise } from "../../../../model/training/initial/initialise.ts";
import { vaeRules } from "../../../../model/training/initial/rules.ts";
import {
  adversarialLosses,
  discriminate,
  discriminatorShapes,
  hingeLoss,
  Optimiser,
  Parameters,
  parameterSpecs,
  Tape,
  Variable,
} from "../../../../model/training/mod.ts";
import { assertNear, device, random, upload } from "../../../harness.ts";

function begin(): Parameters {
  const parameters = new Parameters(device, parameterSpecs(discriminatorShapes()));
  initialise(device, parameters, vaeRules(), 5n);
  return parameters;
}

/** All gradients, one after the other. */
async function gradients({ pages }: Parameters): Promise<number[]> {
  return (await device.readAll(pages.map(({ grad }) => grad))).flatMap((grad) => [...grad]);
}

const SHAPE = [2, 16, 24, 3];
const COUNT = 2 * 16 * 24 * 3;

/** Stripes, whose neighbours differ; and what a soft decoder makes of them. */
function images(seed: number): { real: Tensor; soft: Tensor } {
  const next = random(seed);
  const phase = next() * 7, size = 0.2 + 0.6 * next();
  const real = Float32Array.from({ length: COUNT }, (_, i) => {
    return (Math.floor(i / 3) % 2 ? size : -size) + 0.05 * Math.sin(i + phase);
  });
  return { real: upload("f32", SHAPE, real), soft: upload("f32", SHAPE, real.map((v) => v / 8)) };
}

Deno.test("adversarialLosses() sends each side its gradient, and neither the other's", async () => {
  const before = device.memory.liveBytes;
  const parameters = begin();
  {
    const { real, soft } = images(1);
    using _ = real, __ = soft;
    using y = device.tensor("f32", SHAPE);
    device.copy(soft, y);
    const made = Variable.tracked(device, y);
    using tape = new Tape(device, { lossScale: 2 });
    adversarialLosses(tape, made, { layers: parameters, real, factor: 0.1 });
    tape.unwind();
    using byImage = made.release()!;
    const image = await device.read(byImage);
    const learnt = await gradients(parameters);

    // the discriminator's: real and generated images in turn, without a way back to the generator
    parameters.clearGradients();
    for (const [role, x] of [["real", real], ["fake", soft]] as const) {
      using alone = new Tape(device);
      hingeLoss(alone, discriminate(alone, parameters, alone.constant(x)), { role });
      alone.unwind();
    }
    assertNear(learnt, await gradients(parameters), 1e-5, "by parameters");

    // the generator's: all of what the answers to its images have
    using alone = new Tape(device);
    const own = Variable.tracked(device, soft);
    hingeLoss(alone, discriminate(alone, parameters, own), { role: "generator" });
    alone.unwind();
    using expected = own.release()!;
    const slopes = await device.read(expected);
    assertNear(image, [...slopes].map((v) => 0.2 * v), 1e-5, "by images");
  }
  parameters.dispose();
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("A discriminator learns to tell sharp images from soft ones", async () => {
  const parameters = begin();
  const optimiser = new Optimiser(device, parameters, { weightDecay: 0 });
  using journal = upload("f32", [4], [1, 0, 0, 0]);
  using generator = device.tensor("f32", [2]), real = device.tensor("f32", [2]);
  using fake = device.tensor("f32", [2]);
  const right: number[] = [];
  for (let step = 0; step < 12; step++) {
    const { real: sharp, soft } = images(100 + step);
    using _ = sharp, __ = soft;
    using tape = new Tape(device);
    adversarialLosses(tape, tape.constant(soft), {
      layers: parameters,
      real: sharp,
      factor: 0,
      stats: {
        generator: { tensor: generator, add: false },
        real: { tensor: real, add: false },
        fake: { tensor: fake, add: false },
      },
    });
    tape.unwind();
    optimiser.step({ step, rate: 1e-3, unscale: 1, stop: true, journal, loss: 0, entry: 1 });
    const [one, other] = await device.readAll([real, fake]);
    right.push((one![1]! + other![1]!) / 2);
  }
  assert(right[0]! < 0.75, `${right[0]} are right from the start`);
  assert(right.at(-1)! > 0.999, `${right}`);
  optimiser.dispose();
  parameters.dispose();
});

Deno.test("discriminate() answers for every 8 × 8 pixels", () => {
  const parameters = begin();
  using tape = new Tape(device, { dtype: "f16" });
  for (const [H, W, h, w] of [[16, 24, 2, 3], [8, 8, 1, 1], [64, 32, 8, 4]] as const) {
    using x = upload("f32", [1, H, W, 3], new Float32Array(H * W * 3));
    const { value } = discriminate(tape, parameters, tape.constant(x));
    assertEquals([...value.shape, value.dtype], [1, h, w, 1, "f32"]);
  }
  parameters.dispose();
});
