import type { Io } from "../io/io.ts";
import { duration, type ProgressLine } from "../io/progress.ts";
import type { TrainingProgress } from "../../model/training/mod.ts";

/** Seconds between lines where no terminal keeps to one. */
const PAUSE = 10;

/** Formats a number with a letter for thousands, in three digits. */
export function brief(value: number): string {
  const power = value < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))}${["", "k", "M", "G"][power]}`;
}

/** What a report says, in one line. */
export function progressText({ report, steps, secondsLeft }: TrainingProgress): string {
  const { stage, step, loss, bit_accuracy: bits, psnr } = report;
  const percent = (share: number) => (100 * share).toFixed(1).replace(/\.0$/, "");
  return [
    `${stage} ${step}${steps === null ? "" : `/${steps}`}`,
    ...secondsLeft > 0 ? [`${duration(secondsLeft)} left`] : [],
    `loss ${Number(loss.toPrecision(4))}`,
    ...bits?.length ? [`bits ${bits.map(percent).join("/")} %`] : [],
    ...psnr === undefined ? [] : [`${psnr.toFixed(1)} dB`],
    `${brief(report.images_per_second)} images/s`,
    ...report.tokens_per_second ? [`${brief(report.tokens_per_second)} tokens/s`] : [],
  ].join(", ");
}

/** Shows reports: on a terminal in one line, elsewhere as a line now and then. */
export function progressOf(
  io: Io,
  line: ProgressLine,
  now: () => number = performance.now.bind(performance),
): (progress: TrainingProgress) => void {
  let last = -Infinity;
  return (progress) => {
    if (!io.errIsTerminal && now() - last < 1000 * PAUSE && progress.part < 1) return;
    last = now();
    line.show(progressText(progress));
  };
}
