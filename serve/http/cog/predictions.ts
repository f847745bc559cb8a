/** Predictions: made in the background, and remembered for a while. */

import { RequestError } from "../base/errors.ts";
import type { Service } from "../making/service.ts";
import type { PredictionBody } from "./schemas.ts";

/** Makes a prediction's images; returns data URLs or URLs. */
export type Work = (signal: AbortSignal, log: (line: string) => void) => Promise<string[]>;

/** A prediction. */
export class OnePrediction {
  /** Resolves when it ended, however it ended. */
  readonly ended: Promise<void>;
  /** What it failed with. */
  error: unknown;
  readonly #controller = new AbortController();
  readonly #body: PredictionBody;
  readonly #logs: string[] = [];
  #bytes = 0;

  /** Begins to work. */
  constructor(
    private readonly report: Service["report"],
    readonly id: string,
    input: Record<string, unknown>,
    base: string,
    work: Work,
  ) {
    const get = `${base}/predictions/${id}`;
    this.#body = {
      id,
      status: "starting",
      input,
      output: null,
      error: null,
      logs: "",
      created_at: new Date().toISOString(),
      started_at: null,
      completed_at: null,
      metrics: {},
      urls: { get, cancel: `${get}/cancel` },
    };
    this.ended = this.#run(work);
  }

  /** What clients see. */
  get body(): PredictionBody {
    return { ...this.#body, logs: this.#logs.join("\n") };
  }

  /** Whether it still works. */
  get runs(): boolean {
    return this.#body.completed_at === null;
  }

  /** Characters of its output. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Ends it, if it still works. */
  cancel(): void {
    this.#controller.abort(new DOMException("The prediction was cancelled", "AbortError"));
  }

  async #run(work: Work): Promise<void> {
    const { signal } = this.#controller;
    try {
      const output = await work(signal, (line) => this.#log(line));
      this.#bytes = output.reduce((sum, { length }) => sum + length, 0);
      this.#end({ status: "succeeded", output });
    } catch (error) {
      this.error = error;
      const { message } = this.report(error);
      this.#end(signal.aborted ? { status: "canceled" } : { status: "failed", error: message });
    }
  }

  #log(line: string): void {
    this.#body.status = "processing";
    this.#body.started_at ??= new Date().toISOString();
    this.#logs.push(line);
  }

  #end(how: Partial<PredictionBody>): void {
    const now = new Date();
    const { started_at } = this.#body;
    const seconds = started_at ? (now.getTime() - Date.parse(started_at)) / 1000 : undefined;
    Object.assign(this.#body, how, {
      completed_at: now.toISOString(),
      metrics: how.status === "succeeded" ? { predict_time: seconds ?? 0 } : {},
    });
  }
}

/** The predictions that work, and the last that ended. */
export class Predictions {
  readonly #all = new Map<string, OnePrediction>();

  /** Remembers as much as the service's limits allow. */
  constructor(private readonly service: Pick<Service, "limits" | "report">) {}

  /** Returns a prediction. @throws {RequestError} 404 */
  get(id: string): OnePrediction {
    const found = this.find(id);
    if (found) return found;
    const message = "Cannot find the prediction: there is none of that id, or it was forgotten";
    throw new RequestError(404, "no-prediction", message);
  }

  /** Returns a prediction if there is one. */
  find(id: string): OnePrediction | undefined {
    return this.#all.get(id);
  }

  /** Begins a prediction. @throws {RequestError} 429: too many work. */
  start(
    id: string,
    input: Record<string, unknown>,
    base: string,
    work: Work,
  ): OnePrediction {
    const running = [...this.#all.values()].filter(({ runs }) => runs).length;
    const { limits, report } = this.service;
    if (running >= limits.predictions) {
      const message = `Cannot take another prediction: ${running} run; try again in 1 s`;
      throw new RequestError(429, "too-many-predictions", message, {
        headers: { "retry-after": "1" },
      });
    }
    const prediction = new OnePrediction(report, id, input, base, work);
    this.#all.set(id, prediction);
    prediction.ended.then(() => this.#forget());
    return prediction;
  }

  /** Forgets one, such as one that could not begin. */
  drop(id: string): void {
    this.#all.delete(id);
  }

  /** Cancels all. */
  close(): void {
    for (const prediction of this.#all.values()) prediction.cancel();
  }

  /** Forgets the oldest that ended, until there are few enough. */
  #forget(): void {
    const { limits } = this.service;
    const ended = [...this.#all.values()].filter(({ runs }) => !runs);
    let bytes = ended.reduce((sum, one) => sum + one.bytes, 0);
    let left = ended.length;
    for (const one of ended.slice(0, -1)) {
      if (left <= limits.predictions && bytes <= limits.predictionBytes) break;
      this.#all.delete(one.id);
      bytes -= one.bytes;
      left--;
    }
  }
}
