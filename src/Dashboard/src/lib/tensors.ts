/** Tensors of the playground: from text or from an image, and back to something that people can read. */
import type { Metadata, Tensor } from "./types";

export type Kind = "chat" | "embedding" | "image" | "tensors";

/** What a model is used for, by its inputs. A model that keeps keys and values generates text. */
export function kindOf(metadata: Metadata): Kind {
  const names = metadata.inputs.map((i) => i.name);
  if (names.some((n) => n.startsWith("past_key_values")) || names.includes("text_input")) return "chat";
  if (names.includes("input_ids") && metadata.outputs.some((o) => o.datatype === "FP32")) return "embedding";
  return metadata.inputs.some((i) => imageShape(i) !== null) ? "image" : "tensors";
}

export interface ImageShape {
  channels: 1 | 3;
  height: number;
  width: number;
  /** Whether the channels come last (NHWC). */
  last: boolean;
}

/** The picture that a tensor holds: [n, channels, height, width] or [n, height, width, channels]. */
export function imageShape(tensor: Tensor): ImageShape | null {
  if (!/^(FP32|FP16|UINT8)$/.test(tensor.datatype) || tensor.shape.length !== 4) return null;
  const [, a, b, c] = tensor.shape as [number, number, number, number];
  const size = (n: number) => (n > 0 ? n : 224);
  if ((a === 1 || a === 3) && Math.abs(b) <= 4096) return { channels: a, height: size(b), width: size(c), last: false };
  if ((c === 1 || c === 3) && Math.abs(a) <= 4096) return { channels: c, height: size(a), width: size(b), last: true };
  return null;
}

/** Pixels (RGBA, 0 to 255) as the numbers of a tensor, 0 to 1, or 0 to 255 for UINT8. */
export function fromPixels(rgba: ArrayLike<number>, shape: ImageShape, datatype: string, invert: boolean): number[] {
  const pixels = shape.width * shape.height;
  const data = new Array<number>(pixels * shape.channels);
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < shape.channels; c++) {
      const [r, g, b] = [rgba[4 * p]!, rgba[4 * p + 1]!, rgba[4 * p + 2]!];
      const value = shape.channels === 1 ? 0.299 * r + 0.587 * g + 0.114 * b : [r, g, b][c]!;
      const level = invert ? 255 - value : value;
      const number = datatype === "UINT8" ? Math.round(level) : Math.round((level / 255) * 1e4) / 1e4;
      data[shape.last ? p * shape.channels + c : c * pixels + p] = number;
    }
  }
  return data;
}

/** A shape in which the dimensions that the model leaves open have a size. */
export const fixed = (shape: number[], open = 1) => shape.map((n) => (n > 0 ? n : open));

export const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

/** A request with zeros for each input, as a start for editing. */
export function template(metadata: Metadata): object {
  return {
    inputs: metadata.inputs.map((i) => {
      const shape = fixed(i.shape);
      const zero = i.datatype === "BYTES" ? "" : i.datatype === "BOOL" ? false : 0;
      return { name: i.name, datatype: i.datatype, shape, data: new Array(Math.min(sizeOf(shape), 4096)).fill(zero) };
    }),
  };
}

export function softmax(values: number[]): number[] {
  const max = Math.max(...values);
  const powers = values.map((v) => Math.exp(v - max));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

export function cosine(a: number[], b: number[]): number {
  let [dot, x, y] = [0, 0, 0];
  a.forEach((v, i) => {
    dot += v * b[i]!;
    x += v * v;
    y += b[i]! * b[i]!;
  });
  return dot / (Math.sqrt(x * y) || 1);
}
