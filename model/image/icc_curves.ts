/** The curves of ICC profiles, from stored values to linear light. */

/** A function from [0, 1] to [0, 1]. */
type Curve = (value: number) => number;

/** The number of parameters of each type of parametric curve. */
const PARAMETERS = [1, 3, 4, 5, 7];

/**
 * Reads a curve of type curv or para.
 *
 * Source: ICC.1:2022, "curveType" and "parametricCurveType".
 *
 * @param data A tag.
 * @returns The curve, or undefined if the tag holds none.
 */
export function readCurve(data: Uint8Array): Curve | undefined {
  if (data.length < 12) return;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const type = String.fromCharCode(...data.subarray(0, 4));
  if (type === "curv") {
    const count = view.getUint32(8);
    if (data.length < 12 + 2 * count) return;
    if (count === 0) return (x) => x;
    if (count === 1) return power(view.getUint16(12) / 256);
    return (x) => {
      const at = x * (count - 1);
      const low = Math.min(count - 2, Math.floor(at));
      const [a, b] = [view.getUint16(12 + 2 * low), view.getUint16(14 + 2 * low)];
      return (a + (b - a) * (at - low)) / 65535;
    };
  }
  if (type !== "para") return;
  const kind = view.getUint16(8);
  const count = PARAMETERS[kind];
  if (count === undefined || data.length < 12 + 4 * count) return;
  const [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from(
    { length: count },
    (_, i) => view.getInt32(12 + 4 * i) / 65536,
  );
  const raised = power(g);
  switch (kind) {
    case 0:
      return raised;
    case 1:
      return (x) => x >= -b / a ? raised(a * x + b) : 0;
    case 2:
      return (x) => x >= -b / a ? raised(a * x + b) + c : c;
    case 3:
      return (x) => x >= d ? raised(a * x + b) : c * x;
    default:
      return (x) => x >= d ? raised(a * x + b) + e : c * x + f;
  }
}

/** Evaluates a curve at the 256 values of a byte, cut to [0, 1]; not a number counts as 0. */
export function sampleCurve(curve: Curve): Float64Array {
  return Float64Array.from({ length: 256 }, (_, i) => {
    const value = curve(i / 255);
    return value > 0 ? Math.min(1, value) : 0;
  });
}

function power(exponent: number): Curve {
  return (x) => x <= 0 ? 0 : x ** exponent;
}
