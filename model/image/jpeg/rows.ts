/**
 * Reads the pixels of a JPEG row by row, with the arithmetic of libjpeg (islow, fancy upsampling).
 *
 * Written here because no package gives rows: those that decode to a whole image took more than 400 MB for
 * 48 megapixels, where this takes 67 MB, the 30 MB of the runtime and the 14 MB of the file included.
 */

import { orientationOf } from "../base/exif.ts";
import { corrupt } from "../base/errors.ts";
import { CorruptJpeg } from "./bits.ts";
import { colourWriter } from "./colours.ts";
import { readJpegHeader } from "./header.ts";
import { inverseDct } from "./idct.ts";
import { ScanDecoder } from "./scan.ts";
import { blocksOf, type JpegComponent, type JpegHeader, type Scan } from "./types.ts";
import { type Line, upsample } from "./upsample.ts";
import type { ImageLimits, RowSource } from "../base/rows.ts";

/**
 * Opens a JPEG: baseline or progressive, grey, RGB or CMYK, which becomes RGB.
 *
 * A baseline file takes a few rows of memory, others all their coefficients: 2 bytes for each sample.
 *
 * @param bytes A file that begins with a JPEG's marker.
 * @param name The file's name, for messages only.
 * @throws {FileError} It is incomplete, too large, corrupt, or of another coding; also from `rows()`.
 */
export function openJpeg(bytes: Uint8Array, name: string, limits: ImageLimits = {}): RowSource {
  const header = saying(name, () => readJpegHeader(bytes, name, limits));
  const { width, height, colours, exif, icc } = header;
  const cmyk = colours === "cmyk" || colours === "ycck";
  return {
    width,
    height,
    orientation: exif ? orientationOf(exif) : 1,
    opaque: true,
    ...icc && { icc },
    warnings: cmyk ? ["it is in CMYK, for print; its colours are converted to RGB roughly"] : [],
    async *rows() {
      const rows = readRows(bytes, header);
      for (;;) {
        const { done, value } = saying(name, () => rows.next());
        if (done) return;
        yield value;
      }
    },
  };
}

/** Runs a step of reading, and adds the file's name to what it finds. */
function saying<T>(name: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (!(cause instanceof CorruptJpeg)) throw cause;
    throw corrupt(name, "JPEG", cause.message, cause);
  }
}

/** The samples of one component: those of three rows of MCUs, in turn. */
interface Plane {
  readonly component: JpegComponent;
  readonly samples: Uint8ClampedArray;
  readonly stride: number;
  readonly rows: number;
}

/** Yields the rows of one row of MCUs at a time, RGBA. */
function* readRows(bytes: Uint8Array, header: JpegHeader): Generator<Uint8Array> {
  const { width, height, components, mcu } = header;
  const planes = components.map((component): Plane => {
    const [stride, rows] = [component.across * 8, component.v * 8 * 3];
    return { component, samples: new Uint8ClampedArray(stride * rows), stride, rows };
  });
  const decode = blockRows(bytes, header, planes);
  const write = colourWriter(header.colours);
  const out = new Uint8ClampedArray(width * mcu.v * 8 * 4);
  const lines = planes.map(({ stride }): Line => ({ samples: new Uint8Array(stride * 4), at: 0 }));
  decode(0);
  for (let row = 0; row < mcu.down; row++) {
    // the rows of the next MCUs are the neighbours of the last rows of these
    if (row + 1 < mcu.down) decode(row + 1);
    const first = row * mcu.v * 8;
    const count = Math.min(mcu.v * 8, height - first);
    for (let y = 0; y < count; y++) {
      const at = planes.map((plane, c) => sampleLine(plane, mcu, first + y, lines[c]!));
      write(at, out, y * width * 4, width);
    }
    yield new Uint8Array(out.buffer, 0, count * width * 4);
  }
}

/** Returns the samples of one component for one row of the image. */
function sampleLine(
  { component, samples, stride, rows }: Plane,
  mcu: { h: number; v: number },
  y: number,
  line: Line,
): Line {
  const { h, v, width, height } = component;
  const down = mcu.v / v;
  const near = Math.floor(y / down);
  // between two rows, the farther one weighs a quarter
  const far = down === 2 ? Math.min(height - 1, Math.max(0, near + (y % 2 === 0 ? -1 : 1))) : near;
  const at = near % rows * stride;
  if (h === mcu.h && down === 1) return { samples, at };
  upsample(samples, at, far % rows * stride, width, mcu.h / h, down, y % 2 === 1, line.samples);
  return line;
}

/** Returns a function that makes the samples of a row of MCUs; rows are asked for in order. */
function blockRows(
  bytes: Uint8Array,
  header: JpegHeader,
  planes: readonly Plane[],
): (row: number) => void {
  const { scans: [scan, ...more], components, progressive, mcu } = header;
  if (progressive || more.length > 0) {
    const coefs = decodeScans(bytes, header);
    return (row) => {
      for (const [c, { across, v }] of components.entries()) {
        for (let y = row * v; y < (row + 1) * v; y++) {
          for (let x = 0; x < across; x++) {
            transform(planes[c]!, coefs[c]!, (y * across + x) * 64, x, y);
          }
        }
      }
    };
  }
  const decoder = new ScanDecoder(bytes, scan!, false);
  const order = scan!.components.map(({ component }) => planes[components.indexOf(component)]!);
  const block = new Int16Array(64);
  return (row) => {
    for (let i = 0; i < mcu.across; i++) {
      decoder.nextMcu();
      for (let c = 0; c < order.length; c++) {
        const { h, v } = order[c]!.component;
        for (let y = row * v; y < (row + 1) * v; y++) {
          for (let x = i * h; x < (i + 1) * h; x++) {
            block.fill(0);
            decoder.block(c, block, 0);
            transform(order[c]!, block, 0, x, y);
          }
        }
      }
    }
    decoder.check();
  };
}

function transform(
  { component, samples, stride, rows }: Plane,
  coefs: Int16Array,
  at: number,
  x: number,
  y: number,
): void {
  inverseDct(coefs, at, component.quant!, samples, y * 8 % rows * stride + x * 8, stride);
}

/** Decodes all scans. Returns the coefficients of each component, block by block. */
function decodeScans(bytes: Uint8Array, header: JpegHeader): Int16Array[] {
  const { components, scans, progressive } = header;
  const coefs = components.map(({ across, down }) => new Int16Array(across * down * 64));
  for (const scan of scans) {
    const decoder = new ScanDecoder(bytes, scan, progressive);
    if (scan.components.length > 1) decodeMcus(decoder, scan, header, coefs);
    else {
      const { component } = scan.components[0]!;
      const own = coefs[components.indexOf(component)]!;
      const { across, down } = blocksOf(component);
      for (let y = 0; y < down; y++) {
        for (let x = 0; x < across; x++) {
          decoder.nextMcu();
          decoder.block(0, own, (y * component.across + x) * 64);
        }
        decoder.check();
      }
    }
  }
  return coefs;
}

function decodeMcus(
  decoder: ScanDecoder,
  scan: Scan,
  { components, mcu }: JpegHeader,
  coefs: readonly Int16Array[],
): void {
  const order = scan.components.map(({ component }) => components.indexOf(component));
  for (let row = 0; row < mcu.down; row++) {
    for (let i = 0; i < mcu.across; i++) {
      decoder.nextMcu();
      for (const [index, c] of order.entries()) {
        const { h, v, across } = components[c]!;
        for (let y = row * v; y < (row + 1) * v; y++) {
          for (let x = i * h; x < (i + 1) * h; x++) {
            decoder.block(index, coefs[c]!, (y * across + x) * 64);
          }
        }
      }
    }
    decoder.check();
  }
}
