/** A thread that never finishes loading. */

globalThis.onmessage = () => {};
