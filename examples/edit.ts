/** Changes an image, then half of one: `deno run -R -W -E examples/edit.ts [IMAGE]` */
import { InfinityModel } from "@bitwise/infinity";

using model = await InfinityModel.load();
const [path] = Deno.args;
const init = path
  ? await Deno.readFile(path) // PNG, JPEG or WebP
  : (await model.generate("a red apple", { seed: 7 })).images[0]!;

// generates the finer two thirds of the scales again: the shape stays, the colour changes
const { images: [green] } = await model.edit(init, { prompt: "a green apple", strength: 0.67 });
await Deno.writeFile("green.png", green!.toPng());

// white parts of the mask may change, here the right half
const { width, height } = green!;
const rgba = new Uint8Array(width * height * 4)
  .map((_, i) => Math.floor(i / 4) % width < width / 2 ? 0 : 255);
const mask = { width, height, rgba };
const { images: [half] } = await model.edit(green!, { prompt: "an orange", mask });
await Deno.writeFile("half.png", half!.toPng());
