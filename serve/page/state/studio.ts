/// <reference lib="dom" />

import { newId } from "../data/bytes.ts";
import { Failure } from "../data/failure.ts";
import { HistoryStore, MAX_PICTURES } from "../data/history_store.ts";
import { openPicture } from "../data/opened.ts";
import { describe, type Picture } from "../data/picture.ts";
import { readParametersText } from "../data/png_text.ts";
import { askFor, faultsOf, fitSettings, readSettings, type Settings } from "../data/settings.ts";
import type { Ask, Source } from "../data/source.ts";
import { server, setToken } from "../sources/server.ts";
import { drawInto } from "./draw.ts";
import { Holder } from "./holder.ts";
import { Places } from "./places.ts";
import { groupOf, type Run, selectedOf, slotsOf } from "./state.ts";

/** What the page does; its parts call this, and show the state that follows. */
export class Studio extends Holder {
  #source: Source = server;
  readonly #places = new Places(this);
  #store?: HistoryStore;
  #abort?: AbortController;
  /** Settles when the card was read, or cannot be. */
  #loading?: Promise<void>;

  /** Begins: reads the history and the model's card. */
  async begin(): Promise<void> {
    const history = HistoryStore.open().then(async (store) => {
      this.#store = store;
      const kept = await store.all();
      // some may have been drawn meanwhile
      const ids = new Set(this.state.pictures.map(({ id }) => id));
      const pictures = [...this.state.pictures, ...kept.filter(({ id }) => !ids.has(id))];
      this.set({ pictures, group: this.state.group ?? kept[0]?.group });
    }).catch(() => this.set({ note: "This browser keeps no history: pictures go with the page" }));
    await Promise.all([history, this.#places.look(), this.load()]);
  }

  /** Reads the card of whoever draws. */
  load(): Promise<void> {
    return this.#loading = this.attempt(async () => {
      const card = await this.#source.card();
      this.set({ card, settings: fitSettings(this.state.settings, card), problem: undefined });
    }, () => this.load());
  }

  /** Changes fields of the form. */
  edit(change: Partial<Settings>): void {
    const settings = { ...this.state.settings, ...change };
    const faults = Object.fromEntries(
      Object.entries(this.state.faults).filter(([name]) => !(name in change)),
    );
    this.set({ settings, faults });
  }

  /** Draws what the form says. */
  async generate(): Promise<void> {
    await this.#loading;
    const { settings, start, card, run } = this.state;
    if (run || !card) return;
    const faults = faultsOf(settings);
    const [wrong] = Object.entries(faults);
    if (wrong) return this.set({ faults, said: wrong[1] });
    const { strength } = settings;
    const mask = await start?.mask.file();
    await this.draw(askFor(settings, start && { image: start.file, mask, strength }));
  }

  /** Keeps scales of a picture, counted from the first, and draws the rest with another seed. */
  async keep(picture: Picture, keepScales: number): Promise<void> {
    const { card, settings, run } = this.state;
    if (run || !card || !picture.bits) return;
    const own = readSettings(picture.parameters, card).settings;
    const { count } = settings;
    const asked = { ...settings, ...own, prompt: picture.prompt, random: true, count };
    const ask = askFor(asked, { image: picture.bits, keepScales });
    await this.draw(ask, picture.scales.slice(0, keepScales));
  }

  /** Draws, and keeps what is complete. */
  async draw(ask: Ask, kept: Run["slots"][number]["scales"] = []): Promise<void> {
    // the keys may have been pressed twice
    if (this.state.run) return;
    const abort = this.#abort = new AbortController();
    const run: Run = {
      group: newId(),
      ask,
      slots: Array.from({ length: ask.count }, (_, i) => ({
        prompt: ask.prompt,
        seed: `${BigInt.asUintN(64, BigInt(ask.seed) + BigInt(i))}`,
        scales: kept,
        total: 0,
      })),
    };
    this.edit({ seed: ask.seed });
    this.set({
      run,
      group: run.group,
      index: 0,
      alone: false,
      scale: undefined,
      problem: undefined,
      note: undefined,
      said: "Drawing",
    });
    await this.attempt(
      async () => {
        await drawInto(
          this.#source,
          this,
          ask,
          abort.signal,
          (picture) => this.#keepPicture(picture),
        );
        this.set({ said: `Done: ${describe({ prompt: ask.prompt, seed: ask.seed })}` });
      },
      () => this.draw(ask, kept),
      abort.signal,
    );
    const isEmpty = !this.state.pictures.some(({ group }) => group === run.group);
    const before = this.state.group === run.group && isEmpty;
    this.set({ run: undefined, ...before && { group: this.state.pictures[0]?.group } });
  }

  /** Stops drawing. */
  cancel(): void {
    this.#abort?.abort();
  }

  /** Shows a picture of the history. */
  show(picture: Picture): void {
    const index = groupOf(this.state.pictures, picture.group).indexOf(picture);
    const said = describe(picture);
    this.set({ group: picture.group, index: Math.max(0, index), scale: undefined, said });
  }

  /** Fills the form with the settings of a picture. */
  use({ parameters }: Pick<Picture, "parameters">): void {
    const { card } = this.state;
    if (!card) return;
    const { settings, notes } = readSettings(parameters, card);
    this.edit(settings);
    const note = ["The form has the settings of the picture", ...notes].join("; ");
    this.set({ note, said: note, problem: undefined });
  }

  /** Goes to the next or former picture of the history. */
  step(by: number): void {
    const { pictures } = this.state;
    const at = pictures.findIndex(({ id }) => id === selectedOf(this.state)?.picture?.id);
    const next = pictures[Math.max(0, Math.min(pictures.length - 1, at + by))];
    if (next) this.show(next);
  }

  /** Goes to the next or former scale. */
  stepScale(by: number): void {
    const slot = selectedOf(this.state);
    if (!slot?.total) return;
    const last = slot.total - 1;
    const scale = Math.max(0, Math.min(last, (this.state.scale ?? last) + by));
    if (!slot.scales[scale]) return;
    this.set({ scale: scale === last ? undefined : scale, said: `Scale ${scale + 1}` });
  }

  /** Forgets a picture, or all. */
  async remove(picture?: Picture): Promise<void> {
    await this.attempt(async () => {
      await (picture ? this.#store?.remove(picture.id) : this.#store?.clear());
      const pictures = this.state.pictures.filter(({ id }) => picture && id !== picture.id);
      const pinned = pictures.find(({ id }) => id === this.state.pinned?.id);
      this.set({ pictures, pinned, said: "Deleted" });
      if (slotsOf(this.state).length === 0) {
        this.set({ group: pictures[0]?.group, index: 0, scale: undefined });
      }
    });
  }

  /** Takes a picture to start from. */
  async open(image: Blob, bits?: Blob): Promise<void> {
    await this.attempt(async () => {
      await this.#loading;
      const { card } = this.state;
      if (card && !card.edits && !bits) {
        throw new Failure(`${card.name} cannot read pictures: it edits those that it drew`);
      }
      this.set({
        start: await openPicture(image, bits),
        said: "Picture opened",
        problem: undefined,
      });
    });
  }

  /** Fills the form from the parameters of a picture. */
  async read(file: Blob): Promise<void> {
    await this.attempt(async () => {
      await this.#loading;
      const { card } = this.state;
      if (!card) throw new Failure("Cannot read settings: no model is there yet");
      const text = await readParametersText(file);
      if (text === null) {
        throw new Failure(
          "Cannot read settings: the file is not a PNG that carries its parameters",
        );
      }
      this.use({ parameters: text });
    });
  }

  /** Keeps a token, and tries again. */
  async enterToken(token: string): Promise<void> {
    const again = this.state.problem?.again;
    setToken(token);
    this.set({ dialog: undefined, problem: undefined });
    if (!this.state.card) await this.load();
    else again?.();
  }

  /** Draws in this tab from now on, or by the server. */
  async move(to: "server" | "tab"): Promise<void> {
    await this.attempt(async () => {
      this.#source = await this.#places.go(to);
      await this.load();
    }, () => this.move(to));
  }

  #keepPicture(picture: Picture): void {
    this.set({ pictures: [picture, ...this.state.pictures].slice(0, MAX_PICTURES) });
    this.#store?.add(picture).catch(() =>
      this.set({ note: "Cannot keep the picture: the browser has no room; delete some" })
    );
  }
}
