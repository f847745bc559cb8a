/** Finds which of many texts begin at a place, by their UTF-16 code units. */
export class Trie {
  /** The node that a node leads to, by node · 2^16 + code unit. */
  readonly #next = new Map<number, number>();
  /** The id of the text that ends at each node; −1 if none does. */
  readonly #ids: number[] = [-1];

  /** Adds a text; of equal ones, the last counts. */
  add(text: string, id: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const key = node * 65536 + text.charCodeAt(i);
      let next = this.#next.get(key);
      if (next === undefined) this.#next.set(key, next = this.#ids.push(-1) - 1);
      node = next;
    }
    this.#ids[node] = id;
  }

  /** Calls `found` with the id and the end of each text that begins at `start`, shortest first. */
  match(text: string, start: number, found: (id: number, end: number) => void): void {
    for (let node: number | undefined = 0, at = start; at < text.length;) {
      node = this.#next.get(node * 65536 + text.charCodeAt(at++));
      if (node === undefined) return;
      const id = this.#ids[node]!;
      if (id >= 0) found(id, at);
    }
  }
}
