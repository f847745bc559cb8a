// @ts-types="./path.d.ts"
export {
  basename,
  dirname,
  extname,
  fromFileUrl,
  join,
  relative,
  resolve,
} from "npm:deno-std@1.4.0/path/mod.js";
