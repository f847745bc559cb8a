/** The folder of emoji-nano, which is small enough to generate many images. */
export const NANO: URL = new URL("../assets/models/emoji-nano/", import.meta.url);
