import type { Device, Tensor } from "../../../engine/mod.ts";
import { accumulate } from "../../../kernels/elementwise/accumulate.ts";
import { checkFinite } from "../../../kernels/elementwise/check_finite.ts";
import type { Parameters } from "../tape/parameters.ts";
import type { Observer } from "../tape/tape.ts";
import type { Variable } from "../tape/variable.ts";
import { TrainingError } from "./training_error.ts";

/** An operation of a tape. */
interface Operation {
  readonly name: string;
  readonly parameters: readonly string[];
}

/** Something that was checked, and whom to blame. */
interface Check {
  readonly flag: Tensor;
  readonly what: string;
  readonly operation: Operation | null;
}

/**
 * Checks all that the operations of a tape make, in the order in which they make it: values, then gradients. Nothing is
 * read back before {@link Diagnosis.error}.
 */
export class Diagnosis implements Observer {
  readonly #checks: Check[] = [];
  readonly #operations: Operation[] = [];

  /** Checks the parameters themselves first. */
  constructor(private readonly device: Device, private readonly parameters: Parameters) {
    for (const { name } of parameters.specs) {
      this.check(parameters.get(name).value, `the parameter ${name}`, null);
    }
  }

  /** Checks a tensor. */
  check(tensor: Tensor, what: string, operation: Operation | null): void {
    if (tensor.dtype !== "f32" && tensor.dtype !== "f16") return;
    const { device } = this;
    const flag = device.from("u32", [1], Uint32Array.of(0), "flag");
    this.#checks.push({ flag, what, operation });
    if (tensor.dtype === "f32") return checkFinite(device, { x: tensor, nonFinite: flag });
    using wide = device.tensor("f32", tensor.shape, "checked values");
    accumulate(device, tensor, { tensor: wide, add: false });
    checkFinite(device, { x: wide, nonFinite: flag });
  }

  done(output: Tensor, inputs: readonly Variable[]): number {
    const operation = { name: callerOfTape(), parameters: this.#namesOf(inputs) };
    for (const { value, wanted } of inputs) {
      if (!wanted) this.check(value, `an input of ${operation.name}`, operation);
    }
    this.check(output, `what ${operation.name} made`, operation);
    return this.#operations.push(operation) - 1;
  }

  undo(_: number, dy: Tensor): void {
    this.check(dy, "the gradient that the loss sent", null);
  }

  undone(number: number, inputs: readonly Variable[]): void {
    const operation = this.#operations[number]!;
    for (const { grad } of inputs) {
      if (grad) this.check(grad, `the gradient that ${operation.name} sent back`, operation);
    }
  }

  /** Names of parameters among variables, whatever their shape. */
  #namesOf(variables: readonly Variable[]): string[] {
    return this.parameters.specs.map(({ name }) => name).filter((name) => {
      const { value } = this.parameters.get(name);
      return variables.some((variable) =>
        variable.value.buffer === value.buffer && variable.value.byteOffset === value.byteOffset
      );
    });
  }

  /** What went wrong first in a step, as an error. `saved`: there is a checkpoint. */
  async error(step: number, saved: boolean): Promise<TrainingError> {
    const flags = await this.device.readAll(this.#checks.map(({ flag }) => flag));
    const { what, operation } = this.#checks[flags.findIndex(([flag]) => flag !== 0)] ?? {};
    const { name, parameters = [] } = operation ?? {};
    const began = what === undefined
      ? "nothing is wrong when the step is done again"
      : `${what} is the first that is not`;
    return new TrainingError(
      "not-finite",
      `Cannot train on: not all numbers of step ${step} are finite; ${began}` +
        (parameters.length ? `, with ${parameters.join(", ")}` : "") +
        `; ${saved ? "go on from the last checkpoint" : "begin again"} with a lower learning rate`,
      { step, parameters, ...name === undefined ? {} : { operation: name } },
    );
  }

  /** Frees the flags. */
  dispose(): void {
    for (const { flag } of this.#checks.splice(0)) flag.dispose();
  }

  /** Calls {@link Diagnosis.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Functions that are named: the operation, the layer, and the part of the network. */
const FUNCTIONS = 3;

/** The functions that led to the tape, innermost first: operations need not say their names. */
function callerOfTape(): string {
  const frames = (new Error().stack ?? "").split("\n")
    .map((line) => /^\s*at (?:async )?(?:Object\.)?([\w.#]+) /.exec(line)?.[1] ?? "");
  const record = frames.findIndex((name) => name.endsWith("Tape.record"));
  const names = frames.slice(record + 1).filter((name) => name && !/^(Tape|Trainer)\./.test(name));
  return names.slice(0, FUNCTIONS).join(" in ") || "an operation";
}
