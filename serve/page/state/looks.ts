/// <reference lib="dom" />

/** How the page looks, kept in this browser. */
export interface Looks {
  /** `auto`: as the system. */
  readonly theme: "auto" | "light" | "dark";
  /** Whether enlarged pictures show their pixels. */
  readonly pixels: boolean;
}

const KEY = "bitwise.looks";

/** Reads what was chosen. */
export function readLooks(): Looks {
  try {
    const { theme, pixels } = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return {
      theme: theme === "light" || theme === "dark" ? theme : "auto",
      pixels: pixels === true,
    };
  } catch {
    return { theme: "auto", pixels: false };
  }
}

/** Applies looks to the document. */
export function applyLooks({ theme, pixels }: Looks): void {
  const { dataset } = document.documentElement;
  dataset.theme = theme;
  dataset.pixels = `${pixels}`;
}

/** Keeps looks, and applies them. */
export function keepLooks(looks: Looks): void {
  applyLooks(looks);
  try {
    localStorage.setItem(KEY, JSON.stringify(looks));
  } catch {
    // a browser that keeps nothing has them until it leaves the page
  }
}
