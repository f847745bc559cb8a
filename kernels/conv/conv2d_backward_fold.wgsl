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

// the sum over what reads a row and a column, counted from the first of the padding: every stride-th tap, of outputs one
// before the other, whose numbers wrap to large ones before the first
fn taps(image: u32, row: u32, col: u32, c: u32) -> T {
  let near = vec2(divide(row, params.stride), divide(col, params.stride));
  var sum = T();
  var oy = near.x;
  for (var ky = row - near.x * params.stride; ky < params.size; ky += params.stride) {
    var ox = near.y;
    for (var kx = col - near.y * params.stride; kx < params.size; kx += params.stride) {
      let inside = oy < params.out_height && ox < params.out_width;
      let pixel = select(0, (image * params.out_height + oy) * params.out_width + ox, inside);
      let v = products[((pixel * params.size + ky) * params.size + kx) * params.C + c];
      sum += select(T(), v, inside);
      ox -= 1;
    }
    oy -= 1;
  }
  return sum;
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
    for (var col = first.y; col <= last.y; col++) { sum += taps(image, row + params.pad, col + params.pad, c); }
  }
  if (ADD) { sum += T(dx[i]); }
  dx[i] = narrow(sum);
}
