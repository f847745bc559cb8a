import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { openFolder } from "../../../../model/checkpoint/folder.ts";
import { readLog } from "../../../../model/training/report/log.ts";
import { train } from "../../../../model/training/stages/train.ts";
import { inFolder } from "../../../commands/process.ts";
import { tinyTraining } from "./tiny.ts";

Deno.test("train() trains a tokenizer, then its decoder, against a discriminator that no model keeps", () =>
  inFolder(async (output) => {
    const stage = { steps: 8, batch: 2, warmup: 2, learning_rate: 1e-3 };
    const against = { ...stage, losses: { discriminator: 0.1 }, discriminator_after: 0.5 };
    const config = await tinyTraining({
      tokenizer: against,
      decoder: { ...against, drawn: 0 },
      report_every: 2,
    });
    for (const stage of ["tokenizer", "decoder"] as const) {
      await train(config, stage, { output });
      const log = (await readLog(join(output, "log.jsonl"))).filter((line) => line.stage === stage);
      const terms = log.map(({ losses }) => losses!);
      assertEquals(terms.slice(0, 2).map(({ discriminator }) => discriminator), [0, 0]);
      // an answer of 0 costs 1; what is learnt costs less
      assert(terms.slice(2).every(({ discriminator }) => discriminator! > 0 && discriminator! < 2));
      assert(terms.slice(2).every(({ generator }) => generator !== 0));
      const file = await openFolder(output).tensors("vae.safetensors");
      const names = [...file.tensors.keys()];
      file.close();
      assertEquals(names.filter((name) => !/^(encoder|decoder)\./.test(name)), []);
    }
  }));
