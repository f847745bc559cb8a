import { type Io, printer } from "../../commands/io/io.ts";

/** Makes a terminal that remembers what was written. */
export function fakeIo(
  stdin = new Uint8Array(),
): Io & { text(): string; errors(): string; bytes(): Uint8Array<ArrayBuffer> } {
  const out: string[] = [];
  const err: string[] = [];
  const files: Uint8Array<ArrayBuffer>[] = [];
  return {
    ...printer((text) => out.push(text), (text) => err.push(text)),
    outBytes: (bytes) => void files.push(bytes.slice()),
    stdin: () => ReadableStream.from([stdin]),
    inIsTerminal: false,
    outIsTerminal: false,
    errIsTerminal: false,
    columns: () => 80,
    style: { quiet: false, verbose: false, colour: false },
    signal: new AbortController().signal,
    text: () => out.join(""),
    errors: () => err.join(""),
    bytes: () => files[0] ?? new Uint8Array(),
  };
}
