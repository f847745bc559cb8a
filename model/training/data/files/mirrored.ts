/** Copies pixels of three channels, each row from right to left. */
export function mirrored(rgb: Float32Array, width: number, target: Float32Array): void {
  for (let i = 0; i < rgb.length; i += 3) {
    const [row, column] = [Math.floor(i / 3 / width), i / 3 % width];
    const from = 3 * (row * width + width - 1 - column);
    for (let c = 0; c < 3; c++) target[i + c] = rgb[from + c]!;
  }
}

/** Different pictures of `count` images, of which some are mirrored with that probability. */
export function picturesOf(count: number, mirror: number): number {
  return mirror > 0 ? 2 * count : count;
}

/** The number of a picture: of the image at a place, mirrored or not. */
export function pictureAt(place: number, turned: boolean, mirror: number): number {
  return mirror > 0 ? 2 * place + Number(turned) : place;
}
