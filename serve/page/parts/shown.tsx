import { useEffect, useMemo } from "../../../deps/preact.ts";

/** Shows a picture that is in memory. */
export function Shown({ image, alt, name }: { image: Blob; alt: string; name?: string }) {
  const url = useMemo(() => URL.createObjectURL(image), [image]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  return <img class={name} src={url} alt={alt} draggable={false} />;
}
