// dx[b, row, col, c] = the sum over output pixels and taps that read this pixel of products[b, output pixel, tap, c], or dx
// plus that: the gradient of a convolution by its input, where steps are longer than a pixel.
//
// A 1 × 1 convolution has made the products. One invocation gathers for one element of dx, or a vec4 of channels, so
// nothing is added atomically and the order of sums is fixed.
//
// Prelude (conv2d_backward_input.ts): WG, ADD, T (f32 or vec4<f32>), Y (an element of dx as stored); fns divide, narrow.

struct Params {
  count: u32, // invocations
  height: u32, // of dx
  width: u32,
  out_height: u32, // of the products
  out_width: u32,
  C: u32, // Ts of a pixel of dx
  size: u32,
  stride: u32,
  pad: u32,
  upsample: u32, // 1: each pixel of dx was read as 2 × 2
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<Y>;

// the output that tap `t` reads a row or column for; not below `size` if there is none
fn output(at: u32, t: u32, size: u32) -> u32 {
  let reach = at + params.pad - t; // wraps to a large number before the first
  let o = divide(min(reach, params.stride * size), params.stride);
  return select(size, o, o * params.stride == reach);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let pixel = divide(i, params.C);
  let line = divide(pixel, params.width);
  let image = divide(line, params.height);
  let c = i - pixel * params.C;
  let first = vec2(line - image * params.height, pixel - line * params.width) << vec2(params.upsample);
  let last = first + params.upsample;
  var sum = T();
  for (var row = first.x; row <= last.x; row++) {
    for (var col = first.y; col <= last.y; col++) {
      for (var ky = 0u; ky < params.size; ky++) {
        let oy = output(row, ky, params.out_height);
        if (oy >= params.out_height) { continue; }
        for (var kx = 0u; kx < params.size; kx++) {
          let ox = output(col, kx, params.out_width);
          if (ox >= params.out_width) { continue; }
          let o = (image * params.out_height + oy) * params.out_width + ox;
          sum += products[((o * params.size + ky) * params.size + kx) * params.C + c];
        }
      }
    }
  }
  if (ADD) { sum += T(dx[i]); }
  dx[i] = narrow(sum);
}
