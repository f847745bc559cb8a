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

/** Keeps the Vulkan loader silent: on Linux it complains on stderr where this variable is not set. */
export function quietVulkan(): void {
  if ("Deno" in globalThis && Deno.build.os === "linux") {
    setDefaultEnv("XDG_RUNTIME_DIR", readEnv("TMPDIR") || "/tmp");
  }
}
