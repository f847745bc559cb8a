import type { ComponentChildren } from "../../../deps/preact.ts";

/** What describes a control to screen readers. */
export interface Described {
  readonly id: string;
  readonly "aria-describedby"?: string;
  readonly "aria-invalid"?: boolean;
}

/** A control with its label, and what is wrong with it. */
export function Field(
  { id, label, fault, note, children }: {
    id: string;
    label: string;
    fault?: string;
    note?: ComponentChildren;
    children: (described: Described) => ComponentChildren;
  },
) {
  const described = {
    id,
    "aria-describedby": fault ? `${id}-fault` : undefined,
    "aria-invalid": fault ? true : undefined,
  };
  return (
    <div class="field">
      <div class="field-head">
        <label for={id}>{label}</label>
        {note}
      </div>
      {children(described)}
      {fault && <p class="fault" id={`${id}-fault`}>{fault}</p>}
    </div>
  );
}
