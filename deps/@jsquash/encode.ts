export { default as encodeJpeg } from "npm:@jsquash/jpeg@1.6.0/encode.js";
export { default as encodeWebp } from "npm:@jsquash/webp@1.5.0/encode.js";
