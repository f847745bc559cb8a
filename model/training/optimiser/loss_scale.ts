/** Steps in a row without overflow after which the scale doubles, and bounds of it: those of the official trainer. */
const GROWTH_INTERVAL = 1000;
const INITIAL = 2 ** 11;
const LARGEST = 2 ** 15;

/**
 * What the loss is multiplied by, so that small gradients survive in f16. It halves when gradients overflow, and doubles
 * after many steps in which they did not. Reports may come late: a step counts with the scale that it had.
 */
export class LossScale {
  /** Begins with a scale. */
  constructor(
    /** The scale of the next step, a power of two. */
    public value: number = INITIAL,
    /** Steps in a row that did not overflow with it. */
    public sound: number = 0,
  ) {}

  /** Hears of a step: the scale that it had, and whether its gradients overflowed. */
  report(scale: number, overflowed: boolean): void {
    if (overflowed) {
      this.sound = 0;
      this.value = Math.min(this.value, scale / 2);
    } else if (scale === this.value && ++this.sound >= GROWTH_INTERVAL) {
      this.sound = 0;
      this.value = Math.min(LARGEST, this.value * 2);
    }
  }

  /** Whether gradients overflow although hardly any scale is left: then it is not the scale's fault. */
  get exhausted(): boolean {
    return this.value < 1;
  }
}
