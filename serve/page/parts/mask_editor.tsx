import { useEffect, useRef, useState } from "../../../deps/preact.ts";
import type { Point } from "../data/mask_layer.ts";
import type { Opened } from "../data/opened.ts";
import { Shown } from "./shown.tsx";

/** Keys that move the cursor. */
const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** A picture, with a brush for what of it may change; by pointer or by keys. */
export function MaskEditor({ opened: { image, mask } }: { opened: Opened }) {
  const { width, height } = mask;
  const canvas = useRef<HTMLCanvasElement>(null);
  const last = useRef<Point | null>(null);
  const [brush, setBrush] = useState(20);
  const [erase, setErase] = useState(false);
  const [cursor, setCursor] = useState<Point>({ x: width / 2, y: height / 2 });
  const [focused, setFocused] = useState(false);
  const [painted, setPainted] = useState(() => mask.share);
  const diameter = Math.max(1, brush / 100 * Math.min(width, height));

  useEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    context.clearRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
    context.drawImage(mask.canvas, 0, 0);
    // in a colour that few pictures have
    context.globalCompositeOperation = "source-in";
    context.fillStyle = "#d6127f";
    context.fillRect(0, 0, width, height);
  }, [painted]);

  const change = (paint: () => void) => {
    paint();
    setPainted(mask.share);
  };
  const stroke = (from: Point, to: Point) => change(() => mask.stroke(from, to, diameter, erase));
  const pointOf = (event: PointerEvent): Point => {
    const box = canvas.current!.getBoundingClientRect();
    return {
      x: (event.clientX - box.left) / box.width * width,
      y: (event.clientY - box.top) / box.height * height,
    };
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const move = MOVES[event.key];
    if (move) {
      const by = diameter / 2 * (event.shiftKey ? 4 : 1);
      setCursor(({ x, y }) => ({
        x: Math.max(0, Math.min(width, x + move[0] * by)),
        y: Math.max(0, Math.min(height, y + move[1] * by)),
      }));
    } else if (event.key === " ") stroke(cursor, cursor);
    else if (event.key === "e" && !event.ctrlKey && !event.metaKey) setErase(!erase);
    else return;
    event.preventDefault();
  };

  return (
    <div class="mask">
      <div class="mask-view" style={{ aspectRatio: `${width} / ${height}` }}>
        <Shown image={image} alt="" />
        <canvas
          ref={canvas}
          width={width}
          height={height}
          tabIndex={0}
          role="application"
          aria-label="Mask: paint what may change. Arrows move the brush, Space paints, E erases"
          onKeyDown={onKeyDown}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            last.current = pointOf(event);
            stroke(last.current, last.current);
          }}
          onPointerMove={(event) => {
            if (!last.current) return;
            const point = pointOf(event);
            stroke(last.current, point);
            last.current = point;
          }}
          onPointerUp={() => last.current = null}
          onPointerCancel={() => last.current = null}
        />
        {focused && (
          <span
            class="cursor"
            style={{
              left: `${100 * cursor.x / width}%`,
              top: `${100 * cursor.y / height}%`,
              width: `${100 * diameter / width}%`,
            }}
          />
        )}
      </div>
      <div class="field-head">
        <label for="brush">Brush</label>
        <output for="brush">{brush} %</output>
      </div>
      <input
        id="brush"
        type="range"
        min={2}
        max={60}
        value={brush}
        onInput={(event) => setBrush(event.currentTarget.valueAsNumber)}
      />
      <div class="row">
        <button type="button" aria-pressed={erase} onClick={() => setErase(!erase)}>Erase</button>
        <button type="button" onClick={() => change(() => mask.clear())} disabled={painted === 0}>
          Clear
        </button>
      </div>
      <p class="hint" role="status">
        {painted === 0
          ? "Nothing painted: all of it may change."
          : `${Math.max(1, Math.round(painted * 100))} % painted: only that may change.`}
      </p>
    </div>
  );
}
