/** Of Emscripten's options, the ones used here. */
export interface DecoderOptions {
  print?: (line: string) => void;
  printErr?: (line: string) => void;
  onRuntimeInitialized?: () => void;
}
/** Makes the instance that later calls of {@link decode} use, in place of the last one. */
export function init(options: DecoderOptions): Promise<void>;
export default function decode(file: Uint8Array): Promise<ImageData>;
