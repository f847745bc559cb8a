/** A place as messages may show it: what stands before an @ may be a user and a password. */
export function shownPlace(text: string): string {
  const at = text.lastIndexOf("@");
  if (at < 0) return text;
  const [scheme] = /^(?:[a-z0-9+.-]+:\/\/)?/i.exec(text)!;
  return `${scheme}…${text.slice(at)}`;
}
