/// <reference lib="dom" />

/** A point of a picture, in pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** What of a picture may change: painted parts, over a picture of the same size. */
export class MaskLayer {
  /** White where the picture may change, else transparent. */
  readonly canvas: HTMLCanvasElement = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;

  /** Makes a layer on which nothing is painted. */
  constructor(readonly width: number, readonly height: number) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.#context = this.canvas.getContext("2d", { willReadFrequently: true })!;
  }

  /** Paints a line of a width in pixels, 2 at least, or erases it. */
  stroke(from: Point, to: Point, width: number, erase: boolean): void {
    const context = this.#context;
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.strokeStyle = "white";
    // a thinner line covers no pixel by more than half
    context.lineWidth = Math.max(2, width);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    // a line of no length has no round ends everywhere
    context.lineTo(to.x + 0.01, to.y);
    context.stroke();
  }

  /** Erases all. */
  clear(): void {
    this.#context.clearRect(0, 0, this.width, this.height);
  }

  /** The share of the picture that is painted, 0 to 1. */
  get share(): number {
    const { data } = this.#context.getImageData(0, 0, this.width, this.height);
    let painted = 0;
    for (let i = 3; i < data.length; i += 4) if (data[i]! > 127) painted++;
    return painted / (this.width * this.height);
  }

  /** A PNG, white on black; undefined if nothing is painted. */
  async file(): Promise<Blob | undefined> {
    if (this.share === 0) return undefined;
    const whole = document.createElement("canvas");
    whole.width = this.width;
    whole.height = this.height;
    const context = whole.getContext("2d")!;
    context.fillRect(0, 0, this.width, this.height);
    context.drawImage(this.canvas, 0, 0);
    return await canvasFile(whole);
  }
}

/** The PNG of a canvas. */
export function canvasFile(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((file) => file ? resolve(file) : reject(new Error("Cannot encode a canvas")))
  );
}
