/**
 * Trains a toy in a process of its own, which may be killed: `toy_main.ts CHECKPOINT [resume]`. Prints a line for each
 * step, and the parameters at the end.
 *
 * @module
 */

import { Device } from "../../../../engine/mod.ts";
import { Trainer } from "../../../../model/training/run/trainer.ts";
import { OPTIONS, Toy } from "./toy.ts";

const [path, resume] = Deno.args;
using device = await Device.open();
using toy = new Toy(device);
using trainer = new Trainer(device, toy, {
  ...OPTIONS,
  steps: 40,
  checkpoint: { path: path!, every: 5 },
  onReport: ({ step, loss }) => {
    console.log(JSON.stringify({ step, loss }));
  },
});
if (resume) await trainer.resume(path!);
await trainer.run();
console.log(JSON.stringify({ values: await toy.read() }));
