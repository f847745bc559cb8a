// What resample.wgsl reads, in a storage texture of 1024 texels to a row (Device.stage). Not a kernel: resample.ts puts
// it before the text. T is vec4<f32>.

@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;

fn element(i: u32) -> T { return textureLoad(x, vec2(i & 1023, i >> 10)); }
