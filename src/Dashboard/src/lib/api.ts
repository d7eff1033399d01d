/** Calls of the gateway's public API. The session cookie authenticates them; the key itself is never stored. */

export interface FieldError {
  field: string;
  value: string;
  expected: string;
}

/** An error response: its status, text, and the invalid fields of a declaration. */
export class ApiError extends Error {
  constructor(readonly status: number, message: string, readonly errors: FieldError[] = [],
    readonly requestId: string | null = null) {
    super(message);
  }
}

type Ended = () => void;
const onEnd = new Set<Ended>();

/** Calls back when a request is refused because the session has ended. */
export function onSessionEnd(callback: Ended): () => void {
  onEnd.add(callback);
  return () => onEnd.delete(callback);
}

/** Sends a request. The header is required by the gateway for changes, and protects against other sites. */
export async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-Sluice-Request"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new ApiError(0, "The gateway does not respond. The request is sent again when it is back.");
  }
  if (response.ok) return response;
  const error = await readError(response);
  if (response.status === 401 && path !== "/api/v1/session") for (const ended of [...onEnd]) ended();
  throw error;
}

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(method, path, body, signal);
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, undefined, signal);

/** A path whose parts are encoded. */
export function path(strings: TemplateStringsArray, ...parts: (string | number)[]): string {
  return strings.reduce((all, text, i) => all + text + (i < parts.length ? encodeURIComponent(parts[i]!) : ""), "");
}

async function readError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  return parseError(response.status, text, response.headers.get("X-Request-Id"));
}

/** Reads the three forms of errors: problem details, OpenAI's, and the inference protocol's. */
export function parseError(status: number, text: string, requestId: string | null): ApiError {
  let message = text.slice(0, 500) || `The gateway responded with status ${status}.`;
  let errors: FieldError[] = [];
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const error = body.error as string | { message?: string } | undefined;
    message = (body.detail as string) ?? (typeof error === "string" ? error : error?.message) ?? message;
    if (Array.isArray(body.errors)) errors = body.errors as FieldError[];
  } catch {
    // A response that is not JSON is shown as it is.
  }
  return new ApiError(status, message, errors, requestId);
}
