/** The classifier's parameters and bytes for d bits, against a head that has a logit for each of 2^d labels. */

import { type Device, formatBytes, type Tensor } from "../../engine/mod.ts";
import { linear } from "../../model/training/ops/linear.ts";
import { Tape } from "../../model/training/tape/tape.ts";
import { Variable } from "../../model/training/tape/variable.ts";
import { digits, type Findings, type Study } from "./study.ts";

/** Width of a token in Infinity-2B. */
const WIDTH = 2048;
/** Tokens of the products that are timed. */
const ROWS = 64;
const BITS = [16, 18, 20, 24, 32, 48, 64];
/** Repetitions of a timed step. */
const TIMES = 3;

/** Milliseconds of the forward and backward product of a head of `columns` logits; null if it cannot be allocated. */
async function step(device: Device, columns: number): Promise<number | null> {
  const made: Tensor[] = [];
  const tensor = (...shape: number[]) => {
    const tensor = device.tensor("f32", shape, "head");
    made.push(tensor);
    return tensor;
  };
  try {
    const [w, dw, x] = [tensor(columns, WIDTH), tensor(columns, WIDTH), tensor(ROWS, WIDTH)];
    for (const one of [w, x]) device.upload(one, new Float32Array(one.elements).fill(0.01));
    const once = async () => {
      const tape = new Tape(device);
      const y = linear(tape, Variable.tracked(device, x), Variable.parameter(device, w, dw));
      y.receive(({ tensor }) =>
        device.upload(tensor, new Float32Array(tensor.elements).fill(1e-3))
      );
      tape.unwind();
      await device.finish();
    };
    await once();
    const begin = performance.now();
    for (let i = 0; i < TIMES; i++) await once();
    return (performance.now() - begin) / TIMES;
  } catch (error) {
    if ((error as { name?: string }).name === "OutOfMemoryError") return null;
    throw error;
  } finally {
    for (const one of made) one.dispose();
    device.trim();
  }
}

async function run(device: Device): Promise<Findings> {
  const rows = BITS.map((d) => {
    const [own, whole] = [2 * d * WIDTH, 2 ** d * WIDTH];
    return [d, digits(own), formatBytes(4 * own), digits(whole), formatBytes(4 * whole)];
  });
  const times: { d: number; own: number; whole: number | null }[] = [];
  for (let d = 8; d <= 24; d++) {
    const whole = await step(device, 2 ** d);
    times.push({ d, own: (await step(device, 2 * d))!, whole });
    if (whole === null) break;
  }
  const largest = times.filter(({ whole }) => whole !== null).at(-1)!;
  return {
    tables: [{
      title: `Parameters of a head of width ${WIDTH}, and their bytes in f32`,
      columns: ["d", "2·d·h parameters", "bytes", "2^d·h parameters", "bytes"],
      rows,
    }, {
      title: `Milliseconds of the head's products, forward and backward, of ${ROWS} tokens`,
      columns: ["d", "bit-wise, 2·d logits", "conventional, 2^d logits"],
      rows: times.map(({ d, own, whole }) => [
        d,
        digits(own),
        whole === null ? "cannot be allocated" : digits(whole),
      ]),
    }],
    charts: [{
      title: "Products of the head, forward and backward",
      x: "bits of a token, d",
      y: "ms",
      scales: ["linear", "logarithmic"],
      series: [
        { name: "bit-wise", points: times.map(({ d, own }) => ({ x: d, y: own })) },
        {
          name: "conventional",
          points: times.flatMap(({ d, whole }) => whole === null ? [] : [{ x: d, y: whole }]),
        },
      ],
    }],
    notes: [
      `The largest conventional head that this adapter allocates has d = ${largest.d}: ` +
      `${formatBytes(4 * 2 ** largest.d * WIDTH)} of weights and as many of gradients. ` +
      "Its softmax is not timed, so the conventional head is shown better than it is.",
    ],
  };
}

export const CLASSIFIER: Study = {
  name: "classifier",
  title:
    "The Infinite-Vocabulary Classifier needs d·h parameters where a conventional one needs 2^d·h",
  method:
    "Parameters are counted. Heads of growing d are allocated until one does not fit, and their products timed.",
  run,
};
