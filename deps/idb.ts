export { openDB } from "npm:idb@8.0.4";
