import {
  CheckpointError,
  type Device,
  type Dtype,
  dtypeBytes,
  elementCount,
  quote,
  type Tensor,
  type TensorFile,
  toFloat32,
} from "../../engine/mod.ts";
import { widen } from "../../kernels/elementwise/widen.ts";
import { dequantise } from "../../kernels/linear/dequantise.ts";
import { type Linear, packLinear } from "../../kernels/linear/linear.ts";
import {
  type FloatType,
  WEIGHT_FORMATS,
  type WeightType,
} from "../../kernels/linear/weight_types.ts";
import { embedding } from "../../kernels/tokens/embedding.ts";
import { addLowRank, addLowRankOnHost, type LowRanks } from "./low_rank.ts";
import { StoredMatrix } from "./stored_matrix.ts";
import {
  isQuantisable,
  scalesFault,
  scalesOf,
  type StoredBlocks,
  storedBlocks,
} from "./quantised_blocks.ts";

/** Bytes of one part of a table, in f32. */
export const PART = 64e6;

/** Bytes read and uploaded at a time, while as many are read ahead. */
const CHUNK = 4 * 1024 * 1024;

/** The host converts tensors of fewer bytes: a dispatch costs more. */
const SMALL = 64 * 1024;

/**
 * Loads a checkpoint's tensors to the GPU: checks them against the shape that the model expects, streams them in
 * bounded chunks, and widens F16, BF16 and quantised blocks there. It owns what it loads: disposing it releases the
 * part of the model.
 */
export class Weights {
  #owned: { dispose(): void }[] = [];
  #disposed = false;
  #scratch: Uint8Array<ArrayBuffer>[] | undefined;
  /** Storage type of caches, convolutions, and matrices that are too small or too sensitive to quantise. */
  readonly dtype: FloatType;
  /**
   * Storage type of what one kernel makes for the next. On GPUs it follows the weights, since memory bounds most
   * kernels; software adapters compute as fast in f32. Residual streams and sums over images or tokens are f32 anyway.
   */
  readonly activations: FloatType;

  /** Loads from `file`; stores linear layers as `type`, and vectors always as f32. */
  constructor(
    /** The device to load to. */
    readonly device: Device,
    /** The file to load from. */
    readonly file: TensorFile,
    /** Storage type of linear layers. */
    readonly type: WeightType,
    /** What is added to weights as they are loaded. */
    private readonly added: LowRanks = new Map(),
  ) {
    const { float, quantisation } = WEIGHT_FORMATS[type];
    this.dtype = quantisation && !device.capabilities.f16 ? "f32" : float;
    this.activations = device.capabilities.class === "gpu" ? this.dtype : "f32";
  }

  /** Whether the file holds `name`. */
  has(name: string): boolean {
    return this.file.tensors.has(name);
  }

  /** Returns the shape of a tensor, dequantised if it is in blocks. @throws {CheckpointError} `missing-tensor`. */
  shapeOf(name: string): readonly number[] {
    const info = this.file.tensors.get(name);
    if (info) return storedBlocks(this.file.tensors, name)?.shape ?? info.shape;
    throw new CheckpointError(
      "missing-tensor",
      `Cannot load ${quote(this.file.name)}: tensor ${quote(name)} is missing; ` +
        "is it the checkpoint of another model?",
    );
  }

  #check(name: string, shape: readonly number[]): void {
    const found = this.shapeOf(name);
    // leading ones carry no meaning: [1, 1, 6, C] is [6, C]
    const squeeze = (s: readonly number[]) => s.filter((n) => n !== 1).join();
    if (squeeze(found) === squeeze(shape)) return;
    throw new CheckpointError(
      "wrong-shape",
      `Cannot load ${quote(this.file.name)}: tensor ${quote(name)} is [${found.join(", ")}], ` +
        `config.json makes it [${shape.join(", ")}]`,
    );
  }

  /**
   * Reads a small tensor into host memory as f32.
   *
   * @throws {CheckpointError} `missing-tensor`, or `wrong-shape` with both shapes.
   */
  async host(name: string, shape: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    this.#check(name, shape);
    const values = await this.file.readFloat32(name);
    for (const product of this.added.get(name) ?? []) addLowRankOnHost(values, 0, product);
    return values;
  }

  /**
   * Loads a tensor as f32.
   *
   * @throws {CheckpointError} `missing-tensor`, or `wrong-shape` with both shapes.
   */
  async tensor(name: string, shape: readonly number[]): Promise<Tensor> {
    this.#check(name, shape);
    const y = await this.#stored(name, shape);
    for (const product of this.added.get(name) ?? []) addLowRank(this.device, y, product);
    return y;
  }

  /** Loads a tensor as the file has it, as f32. */
  async #stored(name: string, shape: readonly number[]): Promise<Tensor> {
    const { dtype, byteLength } = this.file.get(name);
    const label = `weight ${name}`;
    const blocks = storedBlocks(this.file.tensors, name);
    if (blocks) return await this.#dequantised(name, blocks);
    const y = this.keep(this.device.tensor("f32", shape, label, "weights"));
    if (byteLength < SMALL || !["F32", "F16", "BF16"].includes(dtype)) {
      this.device.upload(y, await this.file.readFloat32(name));
      return y;
    }
    const raw = await this.#raw(name, dtype === "F32" ? y : undefined);
    if (dtype === "F16" || dtype === "BF16") {
      widen(this.device, { x: raw, y, from: dtype });
      raw.dispose();
    }
    return y;
  }

  /** Uploads a tensor's bytes as they are, to `raw` if it is given. */
  async #raw(name: string, raw?: Tensor): Promise<Tensor> {
    const words = [Math.ceil(this.file.get(name).byteLength / 4)];
    raw ??= this.keep(this.device.tensor("u32", words, `weight ${name}`, "weights"));
    // taken while in use, so that tensors can load concurrently
    const scratch = this.#scratch ?? [new Uint8Array(CHUNK), new Uint8Array(CHUNK)];
    this.#scratch = undefined;
    for await (const { offset, bytes } of this.file.chunks(name, CHUNK, scratch)) {
      this.device.upload(raw, bytes, offset);
    }
    this.#scratch = scratch;
    return raw;
  }

  async #dequantised(name: string, blocks: StoredBlocks): Promise<Tensor> {
    this.#checkScales(name, blocks);
    const y = this.keep(this.device.tensor("f32", blocks.shape, `weight ${name}`, "weights"));
    const x = await this.#raw(name);
    const scales = await this.#raw(scalesOf(name));
    dequantise(this.device, { x, scales, y, type: blocks.type });
    for (const t of [x, scales]) t.dispose();
    return y;
  }

  #checkScales(name: string, blocks: StoredBlocks): void {
    const fault = scalesFault(name, blocks);
    if (fault === null) return;
    throw new CheckpointError("wrong-shape", `Cannot load ${quote(this.file.name)}: ${fault}`);
  }

  /**
   * Loads a matrix [N, K] as the file holds it, or as f32 where that is as small. What is added to weights is not
   * added to it.
   *
   * @throws {CheckpointError} `missing-tensor`, or `wrong-shape` with both shapes.
   */
  async stored(
    name: string,
    shape: readonly [N: number, K: number],
  ): Promise<Tensor | StoredMatrix> {
    this.#check(name, shape);
    const { device, file } = this;
    const blocks = storedBlocks(file.tensors, name);
    if (blocks) {
      this.#checkScales(name, blocks);
      const [x, scales] = [await this.#raw(name), await this.#raw(scalesOf(name))];
      return new StoredMatrix(device, shape, { type: blocks.type, x, scales });
    }
    const { dtype } = file.get(name);
    if (dtype !== "F16" && dtype !== "BF16") return await this.#stored(name, shape);
    if (dtype === "BF16" || !device.capabilities.f16) {
      return new StoredMatrix(device, shape, { type: dtype, x: await this.#raw(name) });
    }
    const x = this.keep(device.tensor("f16", shape, `weight ${name}`, "weights"));
    await this.#raw(name, x);
    return new StoredMatrix(device, shape, { type: "f16", x });
  }

  /**
   * Loads a table [V, C] in the small storage type, in parts of at most 64 MB, so that a vocabulary fits any binding.
   *
   * @throws {CheckpointError} `missing-tensor`, or `wrong-shape` with both shapes.
   */
  async table(name: string, shape: readonly [rows: number, C: number]): Promise<Tensor[]> {
    this.#check(name, shape);
    const [V, C] = shape;
    const { dtype } = this.file.get(name);
    const rowBytes = C * dtypeBytes(dtype);
    if (V * C * 4 <= PART || rowBytes % 8 !== 0) {
      return [this.narrow(await this.tensor(name, shape))];
    }
    const rows = Math.floor(PART / (C * 4));
    const parts: Tensor[] = [];
    for await (const { bytes } of this.file.chunks(name, rows * rowBytes)) {
      const shape = [bytes.length / rowBytes, C];
      const part = this.device.tensor("f32", shape, `weight ${name}`, "weights");
      this.#uploadAs(dtype, bytes, part);
      parts.push(this.narrow(part));
    }
    return parts;
  }

  /** Uploads elements of a stored type to an f32 tensor; the GPU widens 16 bits many times as fast as the host. */
  #uploadAs(dtype: Dtype, bytes: Uint8Array<ArrayBuffer>, y: Tensor): void {
    if (dtype !== "F16" && dtype !== "BF16") {
      return this.device.upload(y, dtype === "F32" ? bytes : toFloat32(bytes, dtype));
    }
    using raw = this.device.tensor("u32", [bytes.length / 4], "16-bit weights", "weights");
    this.device.upload(raw, bytes);
    widen(this.device, { x: raw, y, from: dtype });
  }

  /** Converts a table to the small storage type; takes ownership of `table`. */
  protected narrow(table: Tensor): Tensor {
    if (this.dtype === "f32") return this.keep(table);
    using wide = table;
    const { device } = this;
    const [V = 0] = wide.shape;
    using ids = device.from("u32", [V], Uint32Array.from({ length: V }, (_, i) => i));
    const y = this.keep(device.tensor(this.dtype, wide.shape, "weight table", "weights"));
    embedding(device, { ids, table: wide, y });
    return y;
  }

  /**
   * Loads a linear layer packed for {@link matmul}: one weight [N, K], or several of the same K stacked along N
   * (`shape` is that of the stack). It is quantised if {@link isQuantisable} allows.
   *
   * @throws {CheckpointError} `missing-tensor`, or `wrong-shape` with both shapes.
   */
  async linear(
    names: string | readonly string[],
    shape: readonly [N: number, K: number],
    bias: string | Float32Array<ArrayBuffer> | null = null,
  ): Promise<Linear> {
    const list = typeof names === "string" ? [names] : names;
    const [N, K] = shape;
    const rows = await Promise.all(
      list.map((name) => this.tensor(name, [N / list.length, K])),
    );
    const values = typeof bias === "string" ? await this.host(bias, [N]) : bias;
    const type = isQuantisable(list[0]!, shape) ? this.type : this.dtype;
    return this.#packed(rows, values, type, list[0]!);
  }

  /** Packs a weight [N, K] and bias [N] that were computed on the host; never quantised. See {@link Weights.linear}. */
  pack(
    weight: Float32Array<ArrayBuffer>,
    shape: readonly [N: number, K: number],
    bias: Float32Array<ArrayBuffer> | null,
    label: string,
  ): Linear {
    return this.#packed([this.upload(weight, shape, label)], bias, this.dtype, label);
  }

  #packed(
    rows: Tensor[],
    bias: Float32Array<ArrayBuffer> | null,
    type: WeightType,
    label: string,
  ): Linear {
    const uploaded = bias && this.upload(bias, [bias.length], `${label} bias`);
    const linear = this.device.allOrNothing(() =>
      packLinear(this.device, rows, uploaded, type, `weight ${label}`)
    );
    for (const row of rows) row.dispose();
    this.keep(linear.weight);
    if (linear.scales) this.keep(linear.scales);
    return linear;
  }

  /** Uploads values that were computed on the host. */
  upload(values: Float32Array<ArrayBuffer>, shape: readonly number[], label: string): Tensor {
    if (values.length !== elementCount(shape)) {
      throw new CheckpointError("wrong-shape", `${label} holds ${values.length} values`);
    }
    return this.keep(this.device.from("f32", shape, values, `weight ${label}`, "weights"));
  }

  /** Makes these weights own an item, which they dispose of at their own end: now if that is past. */
  keep<T extends { dispose(): void }>(item: T): T {
    if (this.#disposed) item.dispose();
    else this.#owned.push(item);
    return item;
  }

  /** Releases everything that was loaded; the file stays the caller's. */
  dispose(): void {
    this.#disposed = true;
    for (const item of this.#owned) item.dispose();
    this.#owned = [];
  }
}
