/** Differences that are listed at most. */
const MOST = 5;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "absent";
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/**
 * What differs between two JSON values, key by key. Null and no key are the same.
 *
 * @param free Keys, with dots, below which nothing counts.
 * @returns Phrases such as "optimiser.clip was 5 and is 2".
 */
export function differences(
  before: unknown,
  after: unknown,
  free: readonly string[] = [],
  path: string = "",
): string[] {
  if (free.includes(path)) return [];
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) =>
      differences(before[key], after[key], free, path === "" ? key : `${path}.${key}`)
    );
  }
  if (JSON.stringify(before ?? null) === JSON.stringify(after ?? null)) return [];
  return [`${path || "the config"} was ${show(before)} and is ${show(after)}`];
}

/** What differs below one key, with dots. */
export function differencesAt(key: string, before: unknown, after: unknown): string[] {
  const at = (value: unknown) =>
    key.split(".").reduce((value, part) => isObject(value) ? value[part] : undefined, value);
  return differences(at(before), at(after), [], key);
}

/** Joins phrases, of many the first few. */
export function listed(phrases: readonly string[]): string {
  const rest = phrases.length - MOST;
  return phrases.slice(0, MOST).join(", ") + (rest > 0 ? `, and ${rest} more` : "");
}
