/** Lines of icons in a square of 24. */
const PATHS = {
  close: "M6 6l12 12M18 6L6 18",
  compare: "M12 3v18M4 6h5v12H4zM15 6h5v12h-5z",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  download: "M12 4v11m-5-4 5 5 5-5M5 20h14",
  edit: "M4 20l1-5L16 4l4 4L9 19zM13 7l4 4",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  keys: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z",
  pixels: "M4 4h8v8H4zM12 12h8v8h-8z",
  redo: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  sun:
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M5 19l1.5-1.5M17.5 6.5 19 5",
  system: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  text: "M5 6h14M5 11h14M5 16h8",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
} as const;

/** An icon beside words, or in a button that has a label. */
export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
