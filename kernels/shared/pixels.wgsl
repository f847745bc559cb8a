// Steps from pixel to pixel through rows and images. Not a kernel: text for preludes with params.height and
// params.width.

// the pixel after p = (image, row, column)
fn next(p: vec3<u32>) -> vec3<u32> {
  let row = p.z + 1 == params.width;
  let image = row && p.y + 1 == params.height;
  return vec3(select(p.x, p.x + 1, image), select(select(p.y, p.y + 1, row), 0, image), select(p.z + 1, 0, row));
}
