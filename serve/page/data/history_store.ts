/**
 * The latest pictures, kept in the browser.
 *
 * @module
 */

import { type DBSchema, type IDBPDatabase, openDB } from "../../../deps/idb.ts";
import type { Picture } from "./picture.ts";

/** Pictures that are kept; older ones are dropped. */
export const MAX_PICTURES = 200;

interface Schema extends DBSchema {
  pictures: { key: string; value: Picture; indexes: { at: number } };
}

/** Keeps pictures in IndexedDB. */
export class HistoryStore {
  private constructor(private readonly database: IDBPDatabase<Schema>) {}

  /**
   * Opens the store, and makes it if there is none.
   *
   * @throws If the browser keeps nothing, as in some private windows.
   */
  static async open(): Promise<HistoryStore> {
    const database = await openDB<Schema>("bitwise", 1, {
      upgrade(database) {
        database.createObjectStore("pictures", { keyPath: "id" }).createIndex("at", "at");
      },
    });
    return new HistoryStore(database);
  }

  /** All pictures, the latest first. */
  async all(): Promise<Picture[]> {
    return (await this.database.getAllFromIndex("pictures", "at")).reverse();
  }

  /** Adds a picture, and drops the oldest beyond the limit. */
  async add(picture: Picture): Promise<void> {
    const transaction = this.database.transaction("pictures", "readwrite");
    await transaction.store.put(picture);
    let over = await transaction.store.count() - MAX_PICTURES;
    let oldest = await transaction.store.index("at").openCursor();
    for (; oldest && over > 0; over--) {
      await oldest.delete();
      oldest = await oldest.continue();
    }
    await transaction.done;
  }

  /** Forgets a picture. */
  async remove(id: string): Promise<void> {
    await this.database.delete("pictures", id);
  }

  /** Forgets all. */
  async clear(): Promise<void> {
    await this.database.clear("pictures");
  }
}
