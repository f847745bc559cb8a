import { useEffect, useState } from "../../../deps/preact.ts";
import type { Studio } from "../state/studio.ts";
import { Icon } from "./icon.tsx";

/** Where a picture that is dragged over the page can be dropped; and what is pasted. */
export function DropZones({ studio }: { studio: Studio }) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files");
    const onOver = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer!.files[0];
      const zone = (event.target as Element).closest<HTMLElement>("[data-drop]");
      if (file) void (zone?.dataset.drop === "read" ? studio.read(file) : studio.open(file));
    };
    const onPaste = (event: ClipboardEvent) => {
      const file = [...event.clipboardData?.files ?? []].find(({ type }) =>
        type.startsWith("image/")
      );
      // office programs add a picture of the text that they copy
      const inField = event.target instanceof Element && event.target.closest("input, textarea");
      if (!file || inField && event.clipboardData!.types.includes("text/plain")) return;
      event.preventDefault();
      void studio.open(file);
    };
    addEventListener("dragover", onOver);
    addEventListener("dragleave", onLeave);
    addEventListener("drop", onDrop);
    addEventListener("paste", onPaste);
    return () => {
      removeEventListener("dragover", onOver);
      removeEventListener("dragleave", onLeave);
      removeEventListener("drop", onDrop);
      removeEventListener("paste", onPaste);
    };
  }, []);
  if (!over) return null;
  return (
    <div class="drop">
      <div data-drop="open">
        <Icon name="image" />Edit this picture
      </div>
      <div data-drop="read">
        <Icon name="text" />Read its settings
      </div>
    </div>
  );
}
