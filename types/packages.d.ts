// Types for the names in deno.json's import map, of packages that ship none.
declare module "@std/assert" {
  export * from "types/@std/assert.d.ts";
}

declare module "@std/cli/parse-args" {
  export * from "types/@std/cli/parse-args.d.ts";
}

declare module "@std/path" {
  export * from "types/@std/path.d.ts";
}

declare module "pngjs" {
  export * from "types/pngjs.d.ts";
}
