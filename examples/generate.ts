/** Generates images and writes PNG files: `deno run -R -W -E examples/generate.ts` */
import { InfinityModel } from "@bitwise/infinity";

using model = await InfinityModel.load();
const { images, seconds } = await model.generate(["a red apple", "a purple car"], { seed: 7 });
for (const image of images) {
  const file = `${image.prompt!.replaceAll(" ", "-")}.png`;
  await Deno.writeFile(file, image.toPng()); // holds the settings that reproduce it
  console.log(file, "seed", image.seed);
}
console.log(`${seconds.total.toFixed(2)} s`);
