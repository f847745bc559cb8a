/// <reference lib="dom" />

/** The engine in Chromium, against the same engine in Deno. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { encodeBitsFile, InfinityModel } from "../../mod.ts";
import type { Maker } from "../../serve/jobs/job.ts";
import { chromium, launch } from "../chromium.ts";
import { NANO } from "../nano.ts";
import { assertSamePixels, openSite } from "./visit.ts";

type Page = Awaited<ReturnType<Awaited<ReturnType<typeof launch>>["newPage"]>>;
/** What the steps use in the page; its types are those of browser/mod.ts. */
type Tab = typeof import("../../browser/mod.ts");
/** The maker that a step leaves in the page for the next ones. */
declare const maker: Maker;
/** Messages about scales. */
declare const scales: { count: number };

const JOB = { id: "1", prompt: "red apple", seed: "7", settings: {} };
const missing = chromium() === null;

Deno.test({
  name: `The engine draws in a tab${missing ? " (ignored: there is no chromium)" : ""}`,
  ignore: missing,
  async fn(t) {
    await using site = await openSite();
    await using browser = await launch();
    const page = await browser.newPage();
    await page.goto(`${site.url}empty.html`);
    await page.evaluate(() => {
      // counts what the engine's Worker says of scales, whoever listens
      const scales = { count: 0 };
      const Counted = class extends Worker {
        constructor(url: URL, options: WorkerOptions) {
          super(url, options);
          this.addEventListener("message", ({ data }) => {
            if (data.kind === "scale") scales.count++;
          });
        }
      };
      Object.assign(globalThis, { Worker: Counted, scales });
    });
    using model = await InfinityModel.load(NANO);

    await t.step("An opening is aborted, and keeps nothing of a file", async () => {
      site.stalled = "/model/transformer.safetensors";
      const reason = await page.evaluate(async () => {
        const { openTab } = await import("/engine.js" as string) as Tab;
        const stop = new AbortController();
        const onProgress = ({ file }: { file: string }) => {
          if (file.startsWith("transformer")) stop.abort(new Error("enough"));
        };
        return await openTab({ modelUrl: "model", onProgress, signal: stop.signal })
          .catch((error) => error.message);
      });
      site.stalled = "";
      assertEquals(reason, "enough");
      const kept = await keptNames(page);
      assertEquals(kept.includes("transformer.safetensors"), false);
      assert(kept.includes("config.json"));
    });

    await t.step("The first visit downloads the model, and draws what Deno draws", async () => {
      const seen = await page.evaluate(async (job) => {
        const { openTab, whyNot } = await import("/engine.js" as string) as Tab;
        const stages: string[] = [];
        let last = { done: 0, total: 1 };
        const maker = await openTab({
          modelUrl: "model/",
          onProgress: ({ stage, done, total }) => {
            if (stages.at(-1) !== stage) stages.push(stage);
            last = { done, total };
          },
        });
        const scales: number[] = [];
        const made = await maker.make(job, {
          previews: true,
          onScale: ({ scale, image }) => scales.push(scale, image!.rgba.length),
        });
        const alone = await maker.make(job);
        Object.assign(globalThis, { maker });
        const { rgba, bits, parameters, batch } = made;
        return {
          rgba: [...rgba],
          bits: [...bits],
          alone: [...alone.rgba],
          parameters,
          batch,
          scales,
          stages,
          last,
          card: await maker.card,
          state: maker.state(),
          why: await whyNot(),
        };
      }, JOB);
      const { images: [image] } = await model.generate("red apple", { seed: 7 });
      assertEquals(seen.bits, [...encodeBitsFile(image!.bits)]);
      assertSamePixels(seen.rgba, image!.rgba);
      assertEquals(seen.alone, seen.rgba, "with and without previews");
      assertEquals(seen.parameters, image!.parameters);
      assertEquals(seen.batch, 1);
      assertEquals(seen.scales, [0, 4096, 1, 4096, 2, 4096, 3, 4096]);
      assertEquals(seen.stages, ["cache", "download", "load"]);
      assertEquals(seen.last.done, seen.last.total);
      assertEquals([seen.card.name, seen.card.edits], ["emoji-nano", true]);
      assert(seen.state.ready && seen.state.gpuBytes > 1e6);
      assertEquals(seen.why, null);
    });

    await t.step("A picture is edited as Deno edits it", async () => {
      const { images: [apple] } = await model.generate("red apple", { seed: 7 });
      const init = apple!.toPng();
      const job = {
        ...JOB,
        prompt: "green apple",
        settings: { init: init.toBase64(), strength: 0.5 },
      };
      const rgba = await page.evaluate(async (job) => [...(await maker.make(job)).rgba], job);
      const { images: [green] } = await model.edit(init, {
        prompt: "green apple",
        seed: 7,
        strength: 0.5,
      });
      assertSamePixels(rgba, green!.rgba);
    });

    await t.step(
      "A job that is aborted ends within a scale, and the next one is made",
      async () => {
        for (const previews of [true, false]) {
          const [reason, count, next] = await page.evaluate(async ({ job, previews }) => {
            const stop = new AbortController();
            const onScale = () => stop.abort(new Error("enough"));
            scales.count = 0;
            const reason = await maker.make(job, { signal: stop.signal, onScale, previews })
              .catch((error) => error.message);
            const next = await maker.make(job);
            return [reason, scales.count, next.rgba.length];
          }, { job: JOB, previews });
          assertEquals([reason, next], ["enough", 4096]);
          // four of the next one
          assert(4 < count && count < 4 + 4, `${count} scales, previews ${previews}`);
        }
      },
    );

    await t.step("What is wrong with a job is told as in Deno", async () => {
      const job = { ...JOB, settings: { tau: -1 } };
      const told = await page.evaluate(
        (job) => maker.make(job).then(() => "made", ({ name, message }) => `${name}: ${message}`),
        job,
      );
      const refused = model.generate("red apple", { tau: -1 });
      assertEquals(
        told,
        await refused.then(() => "", (error) => `${error.name}: ${error.message}`),
      );
    });

    await t.step("The second visit downloads nothing again, also offline", async () => {
      await page.reload();
      const before = site.requests.length;
      const draw = async (job: typeof JOB) => {
        const { openTab } = await import("/engine.js" as string) as Tab;
        const stages = new Set<string>();
        const onProgress = ({ stage }: { stage: string }) => stages.add(stage);
        const maker = await openTab({ modelUrl: "model/", onProgress });
        const { rgba } = await maker.make(job);
        await maker.close();
        return [rgba.length, ...stages];
      };
      assertEquals(await page.evaluate(draw, JOB), [4096, "cache", "load"]);
      const again = site.requests.slice(before).filter((request) => /model\//.test(request));
      assertEquals(again.filter((request) => !request.startsWith("HEAD")), []);
      assertEquals(again.length, 5);
      await page.route("**/model/**", (route) => route.abort());
      assertEquals(await page.evaluate(draw, JOB), [4096, "cache", "load"]);
      await page.unroute("**/model/**");
    });

    await t.step("What is missing is said", async () => {
      const errors = await page.evaluate(async () => {
        const { openTab, whyNot } = await import("/engine.js" as string) as Tab;
        const why = async (options: Parameters<typeof openTab>[0]) =>
          await openTab(options).then(() => ["opened"], ({ code, message }) => [code, message]);
        const [model, worker] = [
          await why({ modelUrl: "no/such" }),
          await why({ modelUrl: "model", workerUrl: "no_worker.js" }),
        ];
        navigator.gpu.requestAdapter = () => Promise.resolve(null);
        const adapter = await why({ modelUrl: "model" });
        Reflect.deleteProperty(Object.getPrototypeOf(navigator), "gpu");
        return [model, worker, adapter, await why({ modelUrl: "model" }), [await whyNot()]];
      });
      const [model, worker, adapter, webgpu, why] = errors as string[][];
      assertEquals(model![0], "file-not-found");
      assertMatch(model![1]!, /^Cannot open model ".*no\/such\/": it has no config.json; give/);
      assertEquals(worker![0], "thread-ended");
      assertEquals(adapter![0], "no-adapter");
      assertEquals(webgpu![0], "no-webgpu");
      assertMatch(webgpu![1]!, /^Cannot run a model in this browser: it has no WebGPU; use /);
      assertEquals(why, [webgpu![1]]);
    });
  },
});

/** The names of files in Cache Storage. */
async function keptNames(page: Page): Promise<string[]> {
  return await page.evaluate(async () => {
    const names: string[] = [];
    for (const cache of await caches.keys()) {
      for (const { url } of await (await caches.open(cache)).keys()) {
        names.push(url.split("/").at(-1)!);
      }
    }
    return names;
  });
}
