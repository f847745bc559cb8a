import { assertEquals } from "@std/assert";
import { golden } from "../../../goldens.ts";
import { assertNear, device, NEED_F16 } from "../../../harness.ts";
import { deltas } from "../../transformer/golden_transformer.ts";
import { GoldenLoss, type Options } from "./golden_loss.ts";

/** Largest relative error of a loss. */
const LOSS = 1e-5;
/** Largest relative Frobenius error of a gradient. */
const GRADIENT = 1e-4;

/** Compares a loss and all gradients with those of a case of the golden. Returns the logits. */
async function assertCase(
  model: GoldenLoss,
  name: string,
  options: Options,
): Promise<Float32Array> {
  const file = await golden("loss");
  const { loss, logits } = await model.run(options);
  assertNear([loss], file.tensor(`${name}.loss`).data, LOSS, `loss of ${name}`);
  const norms: Record<string, number> = file.config.gradnorm[name];
  for (const { name: parameter } of model.parameters.specs) {
    const gradient = await device.read(model.parameters.get(parameter).grad!) as Float32Array;
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    const what = `gradient of ${parameter} in ${name}`;
    assertNear([norm], [norms[parameter]!], GRADIENT, `norm of ${what}`);
    const whole = `${name}.grad.${parameter}`;
    const part = `${whole}.first16rows`;
    const kept = [whole, part].find((key) => file.has(key));
    if (!kept || norm === 0) continue;
    const { data } = file.tensor(kept);
    assertNear(gradient.subarray(0, data.length), data, GRADIENT, what);
  }
  model.parameters.clearGradients();
  return logits;
}

Deno.test("golden: logits of teacher forcing, and loss and all gradients of `main`", async () => {
  const live = device.memory.liveBytes;
  using model = await GoldenLoss.load();
  const logits = await assertCase(model, "main", {});
  assertNear(logits, deltas((await golden("loss")).tensor("main.logits").data), 2e-5);
  model[Symbol.dispose]();
  assertEquals(device.memory.liveBytes, live);
});

Deno.test({
  name: `golden: gradients of \`main\` in f16 with a scaled loss are near those of f32${NEED_F16}`,
  ignore: NEED_F16 !== "",
  async fn() {
    const scale = 2048;
    using model = await GoldenLoss.load();
    const { loss } = await model.run({ dtype: "f16", lossScale: scale });
    const file = await golden("loss");
    assertNear([loss], file.tensor("main.loss").data, 1e-3);
    for (const { name } of model.parameters.specs) {
      const gradient = await device.read(model.parameters.get(name).grad!) as Float32Array;
      const { data } = file.has(`main.grad.${name}`)
        ? file.tensor(`main.grad.${name}`)
        : { data: [] };
      if (data.length === 0) continue;
      assertNear(gradient.map((g) => g / scale), data, 1e-2, name);
    }
  },
});

Deno.test("golden: a dropped condition, label smoothing, sums over bits, and fewer scales", async () => {
  using model = await GoldenLoss.load();
  await assertCase(model, "drop", { dropped: [true, false], reweight: false });
  await assertCase(model, "ls", { smoothing: 0.1, reweight: false });
  await assertCase(model, "sum", { reduction: "sum" });
  await assertCase(model, "trunc", { x: "trunc.x_used", bits: "trunc.gt_bits" });
});

Deno.test("recomputed blocks give the same bytes of gradients", async () => {
  using model = await GoldenLoss.load();
  const gradients = async (recompute: boolean) => {
    await model.run({ recompute });
    const read = await device.readAll(model.parameters.pages.map(({ grad }) => grad));
    model.parameters.clearGradients();
    return read;
  };
  assertEquals(await gradients(true), await gradients(false));
});
