/**
 * Requests of the command line to a running shim: HTTP/1.1 over a unix socket in its sandbox's
 * directory, with Kata's own paths, so that its tools can ask too. One table of routes serves both ends: `server.ts` in
 * the shim, `client.ts` in the command line.
 *
 * @module
 */
import { quoted } from "../base/text.ts";

/** Name of the socket in the directory of a sandbox. */
export const MANAGEMENT_SOCKET = "shim-monitor.sock";
/** Of a body, either way: rules of iptables, a policy, the figures of a guest with many devices and of the host. */
export const MOST_BODY_BYTES = 4 << 20;

/** Requests to a shim. Texts are in the formats of the tools: Prometheus, iptables-save, rego, JSON. */
export interface Management {
  /** The agent's address, such as `vsock://3:1024`. */
  agentUrl(): Promise<string>;
  metrics(): Promise<string>;
  iptables(): Promise<string>;
  setIptables(text: string): Promise<void>;
  ip6tables(): Promise<string>;
  setIp6tables(text: string): Promise<void>;
  /** @param volume Path on the host. @returns JSON of the agent's VolumeStatsResponse. */
  volumeStats(volume: string): Promise<string>;
  /** @param size Bytes. */
  resizeVolume(volume: string, size: number): Promise<void>;
  setPolicy(rego: string): Promise<void>;
}

/** One request, as both ends know it. */
export interface Route {
  method: "GET" | "POST" | "PUT";
  path: string;
  /** The request's query and body, made of the arguments. */
  write(...args: never[]): { query?: Record<string, string>; body?: string };
  /** The arguments, read back. @throws {RangeError} The request has not what it needs. */
  read(query: URLSearchParams, body: string): readonly unknown[];
}

const nothing = { write: () => ({}), read: () => [] };
const text = { write: (body: string) => ({ body }), read: (_query: URLSearchParams, body: string) => [body] };

/** A route for each request. */
export const ROUTES = {
  agentUrl: { method: "GET", path: "/agent-url", ...nothing },
  metrics: { method: "GET", path: "/metrics", ...nothing },
  iptables: { method: "GET", path: "/iptables", ...nothing },
  setIptables: { method: "PUT", path: "/iptables", ...text },
  ip6tables: { method: "GET", path: "/ip6tables", ...nothing },
  setIp6tables: { method: "PUT", path: "/ip6tables", ...text },
  volumeStats: {
    method: "POST",
    path: "/direct-volume/stats",
    write: (path: string) => ({ query: { path } }),
    read: (query) => [needed(query.get("path"), "path")],
  },
  resizeVolume: {
    method: "POST",
    path: "/direct-volume/resize",
    write: (volume: string, size: number) => ({ body: JSON.stringify({ volume_guest_path: volume, size }) }),
    read: (_query, body) => readResize(body),
  },
  setPolicy: { method: "PUT", path: "/policy", ...text },
} as const satisfies Record<keyof Management, Route>;

/** The routes with their names. */
export function namedRoutes(): readonly (readonly [keyof Management, Route])[] {
  return Object.entries(ROUTES) as [keyof Management, Route][];
}

/** @throws {RangeError} More than {@linkcode MOST_BODY_BYTES}: no more of it is read. Not UTF-8. */
export async function readBody({ body }: Pick<Request, "body">): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body ?? []) {
    length += piece.length;
    if (length > MOST_BODY_BYTES) throw new RangeError(`Cannot take a body of more than ${MOST_BODY_BYTES} bytes`);
    pieces.push(piece);
  }
  const bytes = await new Blob(pieces as BlobPart[]).bytes();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new RangeError("Cannot take a body that is not UTF-8");
  }
}

function needed(value: string | null, name: string): string {
  if (value === null) throw new RangeError(`Cannot answer without "${name}"`);
  return value;
}

/** Both forms that Kata's tools write. */
function readResize(body: string): [volume: string, size: number] {
  const { volume_guest_path, size, VolumePath, Size } = parseObject(body);
  const volume = volume_guest_path ?? VolumePath;
  const bytes = size ?? Size;
  if (typeof volume === "string" && Number.isSafeInteger(bytes) && Number(bytes) >= 0) return [volume, Number(bytes)];
  throw new RangeError(`Cannot read a volume and its size from ${quoted(body)}`);
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(body));
  } catch {
    throw new RangeError(`Cannot read JSON from ${quoted(body)}`);
  }
}
