/** Copies pixels of three channels, each row from right to left. */
export function mirrored(rgb: Float32Array, width: number, target: Float32Array): void {
  for (let i = 0; i < rgb.length; i += 3) {
    const [row, column] = [Math.floor(i / 3 / width), i / 3 % width];
    const from = 3 * (row * width + width - 1 - column);
    for (let c = 0; c < 3; c++) target[i + c] = rgb[from + c]!;
  }
}
