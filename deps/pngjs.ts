// @ts-types="./pngjs.d.ts"
export { PNG } from "npm:pngjs@7.0.0";
