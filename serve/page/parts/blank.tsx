import { Shown } from "./shown.tsx";

/** A small picture, or the place of one. */
export function Blank({ image }: { image?: Blob }) {
  return image ? <Shown image={image} alt="" /> : <span class="waiting" />;
}
