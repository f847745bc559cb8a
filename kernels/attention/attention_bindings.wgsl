// What every variant of attention declares. Keys and values, bindings 1 and 2, come from attention_buffers.wgsl or
// attention_textures.wgsl. Not a kernel: attention_launch.ts puts it before a variant's text.
//
// Prelude (attention_launch.ts): Q and Y (vec4s as q and y store them), VECTORS (vec4s of a head), BIAS; fn narrow.

struct Params {
  q_stride: u32, // strides and offsets count vec4s
  q_offset: u32,
  k_stride: u32,
  k_offset: u32,
  v_stride: u32,
  v_offset: u32,
  heads: u32,
  bias_centre: i32,
  bias_last: i32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> q: array<Q>;
@group(0) @binding(4) var<storage, read> spans: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> bias_table: array<f32>;
@group(0) @binding(6) var<storage, read> bias_bucket: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<Y>;

const LOWEST = -3.0e38; // stands for minus infinity, which WGSL cannot write

fn inverse(x: f32) -> f32 { return select(1 / x, 0.0, x == 0.0); }
