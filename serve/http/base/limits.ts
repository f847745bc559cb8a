/** What requests may cost. Each has one value for all routes. */
export interface Limits {
  /** Bytes of a request's body that may hold images. */
  readonly bodyBytes: number;
  /** Bytes of a request's body that holds none. */
  readonly textBytes: number;
  /** Bytes of all bodies that are kept at a time, until their images are made. */
  readonly heldBytes: number;
  /** Seconds in which a body must have arrived. */
  readonly bodySeconds: number;
  /** Seconds in which a request must be answered, waiting included. */
  readonly requestSeconds: number;
  /** Characters of a prompt, and of a negative one. */
  readonly promptLength: number;
  /** Images of a request. */
  readonly images: number;
  /** Pixels of an image that is sent. */
  readonly maxPixels: number;
  /** Predictions that run at a time, and finished ones that are remembered. */
  readonly predictions: number;
  /** Bytes of finished predictions that are remembered. */
  readonly predictionBytes: number;
  /** Seconds for which the URL of a result works. */
  readonly urlSeconds: number;
}

/** The limits if nothing else is said. */
export const LIMITS: Limits = {
  bodyBytes: 32 * 2 ** 20,
  textBytes: 2 ** 20,
  heldBytes: 256 * 2 ** 20,
  bodySeconds: 60,
  requestSeconds: 300,
  promptLength: 4000,
  images: 16,
  maxPixels: 2 ** 25,
  predictions: 64,
  predictionBytes: 64 * 2 ** 20,
  urlSeconds: 3600,
};
