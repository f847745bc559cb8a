import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Device, type Tensor } from "../../../../engine/mod.ts";
import { openFolder } from "../../../../model/checkpoint/folder.ts";
import type { ModelConfig, VaeConfig } from "../../../../model/config/types.ts";
import { SyntheticSource } from "../../../../model/parts/synthetic.ts";
import type { DataSource } from "../../../../model/training/data/base/source.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import { trainerOptions } from "../../../../model/training/session/run_stage.ts";
import { ImageFeatures } from "../../../../model/training/stages/image_features.ts";
import { openStageData, openTask } from "../../../../model/training/stages/open_task.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { openWords } from "../../../../model/training/stages/words.ts";
import { VaeEncoder } from "../../../../model/vae/vae_encoder.ts";
import { inFolder } from "../../../commands/process.ts";
import { writeTraining } from "../../../commands/tiny_training.ts";
import { device } from "../../../harness.ts";
import { tinyTraining } from "./tiny.ts";

const VAE: VaeConfig = {
  base_ch: 8,
  encoder_ch_mult: [1, 2, 1, 1],
  decoder_ch_mult: [1, 2, 1, 1],
  num_res_blocks: 1,
  patch_size: 8,
  codebook_dim: 6,
  norm_groups: 4,
};
const SIZES = [{ width: 32, height: 32 }, { width: 16, height: 32 }];

/** Pixels of pictures, each of its own. */
function imagesOf(pictures: readonly number[], { width, height } = SIZES[0]!): Tensor {
  const one = 3 * width * height;
  const values = new Float32Array(pictures.length * one).map((_, i) =>
    Math.sin(i % one * (0.01 + 0.003 * pictures[Math.floor(i / one)]!))
  );
  return device.from("f32", [pictures.length, height, width, 3], values);
}

/** Features, and how many images were encoded for them so far. */
async function open(counts: readonly number[] | null, most?: number) {
  const source = new SyntheticSource({ vae: VAE } as ModelConfig, device, "f32");
  const encoder = await source.open("vae", (weights) => VaeEncoder.load(weights, VAE));
  const encode = encoder.encode.bind(encoder);
  let encoded = 0;
  encoder.encode = (images: Tensor) => (encoded += images.shape[0]!, encode(images));
  const features = new ImageFeatures(
    device,
    VAE,
    encoder,
    { sizes: SIZES, pictures: counts },
    most,
  );
  const read = async (pictures: readonly number[], size = SIZES[0]!, blank = false) => {
    using images = imagesOf(blank ? pictures.map(() => 99) : pictures, size);
    using y = features.encode({ images, pictures });
    return { values: await device.read(y) as Float32Array, shape: y.shape, encoded };
  };
  /** What the encoder makes of them. */
  const truth = async (pictures: readonly number[], size = SIZES[0]!) => {
    using images = imagesOf(pictures, size);
    using y = encode(images);
    return await device.read(y) as Float32Array;
  };
  return { features, read, truth };
}

Deno.test("ImageFeatures encodes a picture once, whatever batch it comes in again", async () => {
  const before = device.memory.liveBytes;
  const { features, read, truth } = await open([6, 2]);
  const steps: [pictures: number[], encoded: number][] = [
    [[4, 1, 5, 1], 4],
    [[1, 4], 4],
    [[0, 1, 2, 5], 8],
    [[5, 2, 0, 4, 1], 8],
    [[3], 9],
    [[3, 3, 2], 9],
  ];
  let last = 0;
  for (const [pictures, encoded] of steps) {
    // what is known is not looked at
    const found = await read(pictures, SIZES[0]!, encoded === last);
    assertEquals(found.encoded, encoded, `${pictures}`);
    assertEquals(found.values, await truth(pictures), `${pictures}`);
    last = encoded;
  }
  // the same numbers are other pictures in another size
  const narrow = SIZES[1]!;
  assertEquals((await read([1, 0], narrow)).encoded, 11);
  const again = await read([0, 0, 1], narrow, true);
  assertEquals([again.encoded, again.shape], [11, [3, 4, 2, VAE.codebook_dim]]);
  assertEquals(again.values, await truth([0, 0, 1], narrow));
  features.dispose();
  assertEquals(device.memory.liveBytes, before);
});

Deno.test("ImageFeatures keeps nothing of pictures that have no end, or are too many", async () => {
  const bytes = 4 * 4 * 4 * VAE.codebook_dim; // of a square one, twice those of a narrow one
  for (const [counts, most] of [[null, undefined], [[3, 2], 4 * bytes - 1]] as const) {
    const { features, read, truth } = await open(counts, most);
    assertEquals((await read([1, 2])).encoded, 2);
    const again = await read([2, 1]);
    assertEquals([again.encoded, again.values], [4, await truth([2, 1])]);
    features.dispose();
  }
});

/** The same images, without their numbers. */
function unnumbered(data: DataSource): DataSource {
  return {
    sizes: data.sizes,
    count: data.count,
    async batch(step, size) {
      const { images, captions } = await data.batch(step, size);
      return { images, captions };
    },
    dispose() {},
  };
}

Deno.test("Transformer and decoder learn the same from pictures that are encoded once", () =>
  inFolder(async (output) => {
    const stage = { steps: 3, batch: 4, warmup: 1 }; // the batch is the epoch
    const tiny = await tinyTraining({
      tokenizer: { steps: 1 },
      transformer: stage,
      decoder: { ...stage, drawn: 0.5 },
    });
    for (const stage of ["tokenizer", "transformer"] as const) await train(tiny, stage, { output });
    await writeTraining(output);
    const config = { ...tiny, data: { ...tiny.data, path: join(output, "tiles") } };
    const begun = { folder: openFolder(output), init: null, words: await openWords(config) };
    const learn = async (stage: "transformer" | "decoder", numbered: boolean) => {
      using own = await Device.open({ class: device.capabilities.class });
      const run = own.run.bind(own);
      let norms = 0;
      own.run = (kernel, call) => {
        if (kernel.name === "group_norm") norms++;
        run(kernel, call);
      };
      const data = await openStageData(own, config, stage);
      const source = numbered ? data : unnumbered(data);
      const task = await openTask(stage, begun)(own, config, source);
      const losses: number[] = [];
      const onReport = ({ loss }: { loss: number }) => void losses.push(loss);
      using trainer = new Trainer(own, task, {
        ...trainerOptions(config[stage]),
        every: 1,
        onReport,
      });
      await trainer.run();
      task.dispose();
      data.dispose();
      return { losses, norms };
    };
    let ofEncoder = 0; // a transformer has no GroupNorm of its own
    for (const stage of ["transformer", "decoder"] as const) {
      const [once, often] = [await learn(stage, true), await learn(stage, false)];
      assertEquals(once.losses, often.losses);
      assertEquals(once.losses.length, 3);
      ofEncoder ||= once.norms;
      assert(ofEncoder > 0);
      // of a decoder's batch, the part that is drawn is encoded by itself
      assertEquals(often.norms - once.norms, (stage === "decoder" ? 4 : 2) * ofEncoder);
    }
  }));
