/** Makes a grey JPEG of one value, in which each block takes two bits: 48 megapixels are 188 kB. */
export function flatJpeg(width: number, height: number): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const segment = (marker: number, ...data: number[]) => {
    const length = data.length + 2;
    return [0xff, marker, length >> 8, length & 255, ...data];
  };
  // one code of one bit: no difference to the last block, and no further coefficients
  const table = (kind: number) => [kind, 1, ...Array(15).fill(0), 0];
  const head = [
    ...[0xff, 0xd8],
    ...segment(0xdb, 0, ...Array(64).fill(1)),
    ...segment(0xc0, 8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0),
    ...segment(0xc4, ...table(0), ...table(0x10)),
    ...segment(0xda, 1, 1, 0, 0, 63, 0),
  ];
  const file = new Uint8Array(head.length + Math.ceil(blocks / 4) + 2);
  file.set(head);
  file.set([0xff, 0xd9], file.length - 2);
  return file;
}
