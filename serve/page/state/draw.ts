import { newId } from "../data/bytes.ts";
import type { Picture } from "../data/picture.ts";
import type { Ask, Source } from "../data/source.ts";
import type { Holder } from "./holder.ts";
import type { Slot } from "./state.ts";

/**
 * Draws the pictures of the run, and shows each scale in its slot.
 *
 * @param keep Called with each picture that is complete.
 */
export async function drawInto(
  source: Source,
  holder: Holder,
  ask: Ask,
  signal: AbortSignal,
  keep: (picture: Picture) => void,
): Promise<void> {
  const { group } = holder.state.run!;
  const began = Date.now();
  let farthest = -1; // scale of any picture, each of which is said once
  const change = (index: number, next: (slot: Slot) => Slot, said?: string): Slot | undefined => {
    const { run } = holder.state;
    if (run?.group !== group) return undefined;
    const slots = run.slots.map((slot, i) => i === index ? next(slot) : slot);
    holder.set({ run: { ...run, slots }, ...said && { said } });
    return slots[index];
  };
  await source.draw(ask, {
    signal,
    onScale({ index, scale, scales, image }) {
      const said = scale > farthest ? `Scale ${scale + 1} of ${scales}` : undefined;
      farthest = Math.max(farthest, scale);
      change(index, (slot) => {
        const images = Array.from(
          { length: scales },
          (_, i) => i === scale ? image : slot.scales[i],
        );
        return { ...slot, scales: images, total: scales };
      }, said);
    },
    onPicture({ index, seed, image, parameters, bits }) {
      const slot = change(index, (slot) => {
        const { prompt, total } = slot;
        // the server leaves scales out for those who read slowly
        const scales = slot.scales.map((one, i) => one ?? (i === total - 1 ? image : undefined));
        const at = began + index;
        const picture = { id: newId(), at, group, prompt, seed, image, parameters, bits, scales };
        return { ...slot, seed, picture };
      });
      if (slot?.picture) keep(slot.picture);
    },
  });
}
