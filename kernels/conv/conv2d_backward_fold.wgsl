// dx[b, row, col, c] = the sum over output pixels and taps that read this pixel of products[b, output pixel, tap, c], or dx
// plus that: the gradient of a convolution by its input, where steps are longer than a pixel.
//
// A 1 × 1 convolution has made the products. One invocation gathers for one element of dx, or a vec4 of channels, so
// nothing is added atomically and the order of sums is fixed.
//
// Loops have constant bounds, so that compilers unroll them: loads in loops are slow on software adapters.
//
// Prelude (conv2d_backward_input.ts): WG, ADD, T (f32 or vec4<f32>), Y (an element of dx as stored), SIZE, STRIDE, REACH
// (taps along an axis that may read a pixel), SCALE (2: each pixel of dx was read as 2 × 2); fns divide, narrow.

struct Params {
  count: u32, // invocations
  height: u32, // of dx
  width: u32,
  out_height: u32, // of the products
  out_width: u32,
  C: u32, // Ts of a pixel of dx
  pad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<T>;
@group(0) @binding(2) var<storage, read_write> dx: array<Y>;

// the sum over what reads a row and a column, counted from the first of the padding: every STRIDE-th tap, of outputs one
// before the other, whose numbers wrap to large ones before the first
fn taps(image: u32, row: u32, col: u32, c: u32) -> T {
  var sum = T();
  for (var i = 0u; i < REACH; i++) {
    for (var j = 0u; j < REACH; j++) {
      let tap = vec2(row % STRIDE + i * STRIDE, col % STRIDE + j * STRIDE);
      let at = vec2(row / STRIDE - i, col / STRIDE - j);
      let inside = all(tap < vec2(SIZE)) && at.x < params.out_height && at.y < params.out_width;
      let pixel = (image * params.out_height + at.x) * params.out_width + at.y;
      let source = ((pixel * SIZE + tap.x) * SIZE + tap.y) * params.C + c;
      let v = products[select(0, source, inside)];
      sum += select(T(), v, inside);
    }
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
  let first = vec2(line - image * params.height, pixel - line * params.width) * SCALE + params.pad;
  var sum = T();
  for (var row = 0u; row < SCALE; row++) {
    for (var col = 0u; col < SCALE; col++) { sum += taps(image, first.x + row, first.y + col, c); }
  }
  if (ADD) { sum += T(dx[i]); }
  dx[i] = narrow(sum);
}
