/** Keeps results by name. Writing the same name again changes nothing for those who read. */
export interface Store {
  /** Keeps a file, whole or not at all. */
  put(name: string, bytes: Uint8Array<ArrayBuffer>, type: string): Promise<void>;
  /** Returns a file, or null if there is none of that name. */
  get(name: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Whether there is a file of that name. */
  has(name: string): Promise<boolean>;
  /** A URL that anyone can read the file by for so many seconds; absent where only the server can make one. */
  url?(name: string, seconds: number): Promise<string>;
}

/** The most bytes of a stored file: a larger one is not one of ours. */
export const MAX_FILE = 2 ** 28;
