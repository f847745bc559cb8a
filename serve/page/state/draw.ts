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
      const said = ask.count === 1 ? `Scale ${scale + 1} of ${scales}` : undefined;
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
        const { prompt, scales } = slot;
        const at = began + index;
        const picture = { id: newId(), at, group, prompt, seed, image, parameters, bits, scales };
        return { ...slot, seed, picture };
      });
      if (slot?.picture) keep(slot.picture);
    },
  });
}
