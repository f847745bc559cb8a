/** What the engine asks of the platform besides WebGPU. No other file of the engine does. */

/**
 * Reads an environment variable if that is permitted without asking.
 *
 * @returns Its value; undefined if it is not set, may not be read, or there is no `Deno`.
 */
export function readEnv(variable: string): string | undefined {
  return mayUse({ name: "env", variable }) ? Deno.env.get(variable) : undefined;
}

/** Sets a variable that is not set or empty, if that is permitted without asking. */
export function setDefaultEnv(variable: string, value: string): void {
  if (mayUse({ name: "env", variable }) && !Deno.env.get(variable)) Deno.env.set(variable, value);
}

/** Whether something is permitted without asking; never without `Deno`. */
export function mayUse(permission: Deno.PermissionDescriptor): boolean {
  return "Deno" in globalThis && Deno.permissions.querySync(permission).state === "granted";
}

/** The system's name, as Deno has it; null without `Deno`. */
export function systemName(): typeof Deno.build.os | null {
  return "Deno" in globalThis ? Deno.build.os : null;
}

/** Reads a small file if that is permitted without asking; null if it cannot be read. */
export function readTextIfAllowed(path: string): string | null {
  return ifAllowed(path, () => Deno.readTextFileSync(path));
}

/** The names in a folder if it may be read without asking; empty if it cannot be read. */
export function namesIfAllowed(path: string): string[] {
  return ifAllowed(path, () => Array.from(Deno.readDirSync(path), ({ name }) => name)) ?? [];
}

/** Whether there is a file at a path that may be read without asking. */
export function isFileIfAllowed(path: string): boolean {
  return ifAllowed(path, () => Deno.statSync(path).isFile) ?? false;
}

function ifAllowed<T>(path: string, read: () => T): T | null {
  if (!mayUse({ name: "read", path })) return null;
  try {
    return read();
  } catch { // it is missing, or a sandbox hides it
    return null;
  }
}

/** Keeps the Vulkan loader silent: on Linux it complains on stderr where this variable is not set. */
export function quietVulkan(): void {
  if (systemName() === "linux") {
    setDefaultEnv("XDG_RUNTIME_DIR", readEnv("TMPDIR") || "/tmp");
  }
}
