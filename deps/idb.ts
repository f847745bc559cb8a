/// <reference lib="dom" />
export { type DBSchema, type IDBPDatabase, openDB } from "npm:idb@8.0.4";
