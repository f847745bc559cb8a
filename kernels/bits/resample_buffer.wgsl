// What resample.wgsl reads, in a buffer. Not a kernel: resample.ts puts it before the text.

@group(0) @binding(1) var<storage, read> x: array<T>;

fn element(i: u32) -> T { return x[i]; }
