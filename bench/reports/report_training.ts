import { digits, table } from "../measuring/measure.ts";
import type { TrainingReport } from "../models/training.ts";

const print = console.log;

/** Prints what was measured of training. */
export function printTraining({ networks, gradients, optimiser }: TrainingReport, cpu: boolean) {
  const by = cpu ? "cpu" : "wall";
  print(`
Training: medians of samples in turns, by ${
    cpu ? "CPU time per core" : "wall time"
  }. "both" is forward and backward.
"of ceiling" compares operations with FMA in registers, or with matrices where f16 uses them.
`);
  print(table(
    [
      "network",
      "shape",
      "",
      "forward ms",
      "both ms",
      "ratio",
      "per s",
      "",
      "GFLOP/s",
      "of ceiling",
    ],
    networks.map(({ name, shape, dtype, forward, both, ratio, rate, unit, gflops, percent }) => [
      ...[name, shape, dtype, digits(forward[by]), digits(both[by]), ratio.toFixed(2)],
      ...[digits(rate), unit, digits(gflops), percent === null ? "" : `${percent.toFixed(0)}%`],
    ]),
  ));
  print("\nGradients: the rate of all gradients over that of the forward pass with packing\n");
  print(table(
    ["", "shape", "forward ms", "backward ms", "ratio"],
    gradients.map(({ name, shape, forward, backward, ratio }) => [
      ...[name, shape, digits(forward[by]), digits(backward[by]), ratio.toFixed(2)],
    ]),
  ));
  const { shape, step, rate, copy, percent } = optimiser;
  print(
    `\nOptimiser, ${shape}: ${digits(step[by])} ms, ${digits(rate)} GB/s, ${
      percent.toFixed(0)
    }% of a copy at ${digits(copy)} GB/s`,
  );
}
