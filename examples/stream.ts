/** Writes a PNG after each scale, to watch an image grow: `deno run -R -W -E examples/stream.ts` */
import { InfinityModel } from "@bitwise/infinity";

using model = await InfinityModel.load();
for await (const step of model.stream("a red apple", { seed: 7, preview: true })) {
  const image = await step.image();
  await Deno.writeFile("live.png", image.toPng()); // image viewers and browsers can reload it
  const [rows, columns] = step.bits[0]!.schedule.at(-1)!;
  console.log(`scale ${step.scale + 1} of ${step.scales}: ${rows}x${columns} positions`);
}
