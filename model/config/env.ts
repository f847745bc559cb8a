/** Reads an environment variable; undefined if it is unset, outside of Deno, or if reading it would ask for permission. */
export function readEnv(name: string): string | undefined {
  if (!("Deno" in globalThis)) return undefined;
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}
