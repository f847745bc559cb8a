/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
export { type ComponentChildren, render } from "npm:preact@11.2.0";
export { useEffect, useMemo, useRef, useState } from "npm:preact@11.2.0/hooks";
