/** The HTTP API over a real model. */

import { assert, assertEquals } from "@std/assert";
import { createApp } from "../../../serve/http/app.ts";
import { Metrics } from "../../../serve/http/metrics.ts";
import { openEngine } from "../../../serve/engine/engine.ts";
import { encodePng } from "../../../model/image/png.ts";
import { openImage } from "../../../model/image/read_image.ts";
import { NANO } from "../../nano.ts";
import { fromFileUrl } from "@std/path";

interface Data {
  b64_json: string;
  bits: string;
  seed: number;
  parameters: string;
  type: string;
  scale: number;
  scales: number;
}

const pixels = async (base64: string) =>
  (await (await openImage(Uint8Array.fromBase64(base64), "answer")).image()).rgba;

Deno.test("emoji-nano draws, streams its scales, and keeps those that it is told to", async () => {
  const metrics = new Metrics();
  const maker = openEngine({ model: fromFileUrl(NANO), events: metrics.events });
  const app = createApp(maker, { metrics });
  const card = await maker.card;
  const post = (path: string, body: object) =>
    app.fetch(
      new Request(`http://localhost/v1/images/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    );
  const data = async (path: string, body: object): Promise<Data[]> => {
    const response = await post(path, body);
    const answer = await response.json();
    assertEquals(response.status, 200, JSON.stringify(answer));
    return answer.data;
  };
  try {
    const asked = { prompt: "red apple", seed: 7, include_bits: true };
    const [apple, other] = await data("generations", { ...asked, n: 2 });
    assertEquals([apple!.seed, other!.seed], [7, 8]);
    const text = await (await post("generations", { ...asked, stream: true })).text();
    const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) =>
      JSON.parse(json!) as Data
    );
    const [{ schedule }] = card.sizes as [typeof card.sizes[0]];
    assertEquals(events.map(({ scale }) => scale), [...schedule.keys(), undefined] as number[]);
    assertEquals(events.at(-1)!.b64_json, apple!.b64_json);
    assertEquals(await pixels(events.at(-2)!.b64_json), await pixels(apple!.b64_json));

    const keep = { ...asked, image: apple!.bits, seed: 99 };
    const [same] = await data("edits", { ...keep, keep_scales: schedule.length });
    assertEquals(await pixels(same!.b64_json), await pixels(apple!.b64_json));
    const [changed] = await data("edits", { ...keep, keep_scales: 1 });
    assert(changed!.bits !== apple!.bits);

    const [varied] = await data("variations", { image: apple!.b64_json });
    assert(varied!.parameters.startsWith("red apple\n"), varied!.parameters);

    const { width, height } = card.sizes[0]!;
    const area = new Uint8Array(width * height * 4).fill(255);
    area.fill(0, 0, area.length / 2);
    const mask = encodePng(area, width, height).toBase64();
    const [masked] = await data("edits", { ...asked, image: apple!.b64_json, mask });
    assert(masked!.parameters.includes("Masked: True"), masked!.parameters);

    const wrong = await post("edits", { ...asked, image: apple!.bits, keep_scales: 60 });
    assertEquals([wrong.status, (await wrong.json()).error.code], [400, "bad-value"]);
    const counted = await (await app.fetch(new Request("http://localhost/metrics"))).text();
    assert(counted.includes('bitwise_images_total{outcome="made"} 7\n'), counted);
  } finally {
    app.close();
    await maker.close();
  }
});
