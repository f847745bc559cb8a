// @ts-types="./webp.d.ts"
export { default, init } from "npm:@jsquash/webp@1.5.0/decode.js";
