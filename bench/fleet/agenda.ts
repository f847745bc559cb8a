/** What happens at a time. */
interface Entry {
  readonly time: number;
  /** Of two at the same time, the one that was put first comes first. */
  readonly order: number;
  readonly action: () => void;
}

function before(a: Entry, b: Entry): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

/** Events in the order of their times: a binary heap. */
export class Agenda {
  readonly #heap: Entry[] = [];
  #count = 0;
  #now = 0;

  /** Seconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  /** Puts an action at a time, which is not before now. */
  at(time: number, action: () => void): void {
    const entry = { time, order: this.#count++, action };
    let place = this.#heap.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!before(entry, this.#heap[parent]!)) break;
      this.#heap[place] = this.#heap[parent]!;
      place = parent;
    }
    this.#heap[place] = entry;
  }

  /** Runs all actions, those included that they put here. */
  run(): void {
    for (let next = this.#take(); next; next = this.#take()) {
      this.#now = next.time;
      next.action();
    }
  }

  #take(): Entry | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (!first || !last || first === last) return first;
    let place = 0;
    for (let child = 1; child < this.#heap.length; child = 2 * place + 1) {
      const other = this.#heap[child + 1];
      if (other && before(other, this.#heap[child]!)) child++;
      if (!before(this.#heap[child]!, last)) break;
      this.#heap[place] = this.#heap[child]!;
      place = child;
    }
    this.#heap[place] = last;
    return first;
  }
}
