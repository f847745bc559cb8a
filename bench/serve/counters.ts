/** What a server has counted since it began. */
export interface Counters {
  /** Images by how they ended. */
  readonly made: number;
  readonly failed: number;
  readonly aborted: number;
  /** Batches, and images of them all. */
  readonly batches: number;
  readonly batched: number;
}

/** Reads one value of Prometheus's text; 0 if it is not there. */
function valueOf(text: string, name: string): number {
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** Reads the counters out of Prometheus's text. */
export function parseCounters(text: string): Counters {
  const images = (outcome: string) => valueOf(text, `bitwise_images_total{outcome="${outcome}"}`);
  return {
    made: images("made"),
    failed: images("failed"),
    aborted: images("aborted"),
    batches: valueOf(text, "bitwise_batch_images_count"),
    batched: valueOf(text, "bitwise_batch_images_sum"),
  };
}

/** Asks a server for its counters. */
export async function readCounters(url: string): Promise<Counters> {
  const response = await fetch(`${url}/metrics`);
  return parseCounters(await response.text());
}
