/** What the engine asks of the platform, in a browser: it has no files and no environment. */

/** Says that no variable is set. */
export function readEnv(_variable: string): string | undefined {
  return undefined;
}

/** Sets nothing. */
export function setDefaultEnv(_variable: string, _value: string): void {}

/** Permits nothing. */
export function mayUse(_permission: object): boolean {
  return false;
}

/** Says that there is no Deno. */
export function systemName(): null {
  return null;
}

/** Finds no file. */
export function readTextIfAllowed(_path: string): string | null {
  return null;
}

/** Finds no folder. */
export function namesIfAllowed(_path: string): string[] {
  return [];
}

/** Finds no file. */
export function isFileIfAllowed(_path: string): boolean {
  return false;
}

/** Has nothing to silence. */
export function quietVulkan(): void {}
