import type { Buffer } from "node:buffer";
export class PNG {
  constructor(options?: { width?: number; height?: number; colorType?: 0 | 2 | 4 | 6 });
  width: number;
  height: number;
  /** RGBA, 8 bits each. */
  data: Uint8Array;
  static sync: {
    read(file: Buffer): PNG;
    write(
      png: Pick<PNG, "width" | "height" | "data">,
      options?: { colorType?: 0 | 2 | 4 | 6; deflateLevel?: number },
    ): Buffer;
  };
}
