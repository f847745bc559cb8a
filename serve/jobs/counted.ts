import { BusyError } from "./busy_error.ts";
import type { Made, MakerEvents, Watch } from "./job.ts";

/** Counts how a job ends; one that is refused does not count. */
export async function counted(
  made: Promise<Made>,
  { signal }: Watch,
  { onEnd }: MakerEvents,
): Promise<Made> {
  try {
    const image = await made;
    onEnd?.("made");
    return image;
  } catch (error) {
    if (!(error instanceof BusyError)) onEnd?.(signal?.aborted ? "aborted" : "failed");
    throw error;
  }
}
