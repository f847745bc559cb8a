// @ts-types="./jpeg.d.ts"
export { default, init } from "npm:@jsquash/jpeg@1.6.0/decode.js";
