/** Serves images over HTTP: `deno run -R -E -N examples/serve.ts`, then open http://localhost:8000/?prompt=a+red+apple */
import { BitwiseError, InfinityModel } from "@bitwise/infinity";

const model = await InfinityModel.load();

/** Answers `/?prompt=a+red+apple&seed=7` with a PNG; a request that is cancelled stops the GPU's work. */
export async function handler(request: Request): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const prompt = searchParams.get("prompt") ?? "a red apple";
  const seed = Number(searchParams.get("seed") ?? -1); // -1: a random one
  try {
    const { images: [image] } = await model.generate(prompt, { seed, signal: request.signal });
    const headers = { "content-type": "image/png", "x-seed": `${image!.seed}` };
    return new Response(image!.toPng(), { headers });
  } catch (error) {
    if (error instanceof BitwiseError) return new Response(error.message, { status: 400 });
    throw error;
  }
}

if (import.meta.main) Deno.serve(handler);
