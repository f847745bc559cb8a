/** Composes 48 training scenes and prints their captions: `deno run -R -W -E examples/scenes.ts` */
import { encodePng } from "@bitwise/infinity";
import { Device } from "@bitwise/infinity/engine";
import { SceneSource } from "@bitwise/infinity/training";

const [COUNT, COLUMNS, SIZE, GAP] = [48, 8, 128, 6];

using device = await Device.open();
const folder = new URL("../assets/training/emoji-scenes/", import.meta.url);
using source = await SceneSource.open(device, folder, { size: SIZE, seed: 7n });
const { images, captions } = await source.batch(0, COUNT);
const values = await device.read(images);
images.dispose();

const width = COLUMNS * (SIZE + GAP) + GAP;
const height = Math.ceil(COUNT / COLUMNS) * (SIZE + GAP) + GAP;
const rgba = new Uint8Array(4 * width * height).fill(255);
for (let i = 0; i < COUNT * SIZE * SIZE; i++) {
  const [column, row] = [i % SIZE, Math.floor(i / SIZE) % SIZE];
  const scene = Math.floor(i / SIZE / SIZE);
  const x = GAP + (scene % COLUMNS) * (SIZE + GAP) + column;
  const y = GAP + Math.floor(scene / COLUMNS) * (SIZE + GAP) + row;
  for (let c = 0; c < 3; c++) rgba[4 * (y * width + x) + c] = (values[3 * i + c]! + 1) * 127.5;
}
await Deno.writeFile("scenes.png", encodePng(rgba, width, height));
captions.forEach((caption, i) => console.log(`${i + 1}. ${caption}`));
