import type { Redis } from "../../../deps/bullmq.ts";
import type { Job, Maker } from "../../../serve/jobs/job.ts";
import { connect } from "../../../serve/fleet/connect.ts";
import { FleetWorker, type FleetWorkerOptions } from "../../../serve/fleet/fleet_worker.ts";
import { RemoteMaker, type RemoteMakerOptions } from "../../../serve/fleet/remote_maker.ts";
import { MemoryStore } from "../../../serve/stores/memory_store.ts";
import type { Store } from "../../../serve/stores/store.ts";
import { RedisServer } from "./redis_server.ts";

/** A job of the fake maker. */
export function jobOf(id: string, prompt = "cat", seed = 1): Job {
  return { id, prompt, seed: `${seed}`, settings: {} };
}

/** A Redis, a store, and the fronts and workers that a test starts; all end with the test. */
export class Fleet {
  /** What its fronts and workers share. */
  store: Store = new MemoryStore(2 ** 20);
  readonly #ends: (() => Promise<unknown> | void)[] = [];

  private constructor(readonly server: RedisServer) {}

  /** Starts a Redis. */
  static async start(): Promise<Fleet> {
    return new Fleet(await RedisServer.start());
  }

  /** Opens a connection that ends with the test. */
  async connect(onChange?: (line: string) => void): Promise<Redis> {
    const redis = await connect(this.server.url, { onChange });
    this.#ends.push(() => redis.disconnect());
    return redis;
  }

  /** Opens a front. */
  async front(options: RemoteMakerOptions = {}): Promise<RemoteMaker> {
    const front = new RemoteMaker(await this.connect(), this.store, options);
    this.#ends.push(() => front.close("at once"));
    return front;
  }

  /** Starts a worker. */
  async worker(maker: Maker, options: FleetWorkerOptions = {}): Promise<FleetWorker> {
    const worker = await FleetWorker.start(maker, this.store, await this.connect(), options);
    this.#ends.push(() => worker.close());
    return worker;
  }

  /** Ends all, the last first. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
    await this.server[Symbol.asyncDispose]();
  }
}
