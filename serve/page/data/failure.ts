/** Why there is no picture, in words for the reader of the page. */
export class Failure extends Error {
  /** Always `"Failure"`, also when minified. */
  override readonly name: string = "Failure";

  /**
   * Makes a failure.
   *
   * @param message A sentence without its full stop.
   * @param kind `token`: a token is missing or wrong. `busy`: try again later.
   * @param retryAfter Seconds after which there is probably room.
   */
  constructor(
    message: string,
    readonly kind: "token" | "busy" | "other" = "other",
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** Reads an error answer of the server, in OpenAI's shape or any other. */
export async function failureOf(response: Response): Promise<Failure> {
  const text = await response.text().catch(() => "");
  const said = messageOf(text) ?? `The server answered ${response.status}`;
  if (response.status === 401) return new Failure(said, "token");
  if (response.status !== 429 && response.status !== 503) return new Failure(said);
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return new Failure(said, "busy", Number.isFinite(seconds) ? Math.max(1, seconds) : undefined);
}

/** The message of `{ error: { message } }` in JSON, if it is that. */
function messageOf(text: string): string | undefined {
  try {
    const message = JSON.parse(text)?.error?.message;
    return typeof message === "string" && message !== "" ? message : undefined;
  } catch {
    return undefined;
  }
}
