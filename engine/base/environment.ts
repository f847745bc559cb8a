/**
 * Reads an environment variable if that is permitted without asking.
 *
 * @returns Its value; undefined if it is not set, may not be read, or there is no `Deno`.
 */
export function readEnv(variable: string): string | undefined {
  return mayUse(variable) ? Deno.env.get(variable) : undefined;
}

/** Sets a variable that is not set or empty, if that is permitted without asking. */
export function setDefaultEnv(variable: string, value: string): void {
  if (mayUse(variable) && !Deno.env.get(variable)) Deno.env.set(variable, value);
}

function mayUse(variable: string): boolean {
  if (!("Deno" in globalThis)) return false;
  return Deno.permissions.querySync({ name: "env", variable }).state === "granted";
}

/** Keeps the Vulkan loader silent: on Linux it complains on stderr where this variable is not set. */
export function quietVulkan(): void {
  if ("Deno" in globalThis && Deno.build.os === "linux") {
    setDefaultEnv("XDG_RUNTIME_DIR", readEnv("TMPDIR") || "/tmp");
  }
}
