/**
 * Serves the command line and the monitor from a running shim: HTTP/1.1 over a unix socket in the sandbox's directory,
 * with Kata's own paths, so that its tools can ask too. One table of routes serves both ends.
 *
 * @module
 */
import { errorChain, KataError } from "../base/error.ts";
import { cutText, plainText } from "../base/text.ts";

/** Name of the socket in the directory of a sandbox. */
export const MANAGEMENT_SOCKET = "shim-monitor.sock";
const QUOTED_BYTES = 256;

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

interface Route {
  method: "GET" | "POST" | "PUT";
  path: string;
  /** The request's query and body, made of the arguments. */
  write(...args: never[]): { query?: Record<string, string>; body?: string };
  /** The arguments, read back. @throws If the request has not what it needs. */
  read(query: URLSearchParams, body: string): readonly unknown[];
}

const nothing = { write: () => ({}), read: () => [] };
const text = { write: (body: string) => ({ body }), read: (_query: URLSearchParams, body: string) => [body] };

const ROUTES = {
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

/** Serves at `path` until the signal fires. A request that `management` lacks is answered 501. */
export async function serveManagement(
  path: string,
  management: Partial<Management>,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const server = Deno.serve({ path, signal, onListen: () => {} }, (request) => answer(request, management));
  await server.finished;
}

async function answer(request: Request, management: Partial<Management>): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const entries = Object.entries(ROUTES) as [keyof Management, Route][];
  const found = entries.find(([, { method, path }]) => method === request.method && path === pathname);
  if (found === undefined) return new Response(`No ${request.method} ${pathname} here\n`, { status: 404 });
  const [name, route] = found;
  const handler = management[name] as ((...args: readonly unknown[]) => Promise<unknown>) | undefined;
  if (handler === undefined) return new Response(`${name} is not implemented\n`, { status: 501 });
  try {
    const args = route.read(searchParams, await request.text());
    return new Response(String(await handler.apply(management, [...args]) ?? ""));
  } catch (error) {
    return new Response(plainText(errorChain(error)), { status: error instanceof RangeError ? 400 : 500 });
  }
}

/**
 * Asks the shim whose socket is at `path`. Each method is one request.
 *
 * @throws {KataError} From its methods: UNAVAILABLE if nobody serves there, INTERNAL with the shim's own words else.
 */
export function connectManagement(path: string): Management {
  const methods = (Object.entries(ROUTES) as [keyof Management, Route][]).map(([name, route]) => {
    const call = async (...args: never[]) => await ask(path, route, route.write(...args));
    return [name, call];
  });
  return Object.fromEntries(methods) as Management;
}

async function ask(path: string, route: Route, { query = {}, body }: ReturnType<Route["write"]>): Promise<string> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  const url = `http://localhost${route.path}?${new URLSearchParams(query)}`;
  const init = { client, method: route.method, ...(body !== undefined && { body }) };
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    throw new KataError("UNAVAILABLE", `Cannot reach the shim at ${path}`, { cause });
  }
  const answered = await response.text();
  if (response.ok) return answered;
  throw new KataError("INTERNAL", `Cannot ${route.method} ${route.path} of the shim at ${path}: ${answered}`);
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
  if (typeof volume === "string" && typeof bytes === "number") return [volume, bytes];
  throw new RangeError(`Cannot read a volume and its size from ${cutText(body, QUOTED_BYTES)}`);
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(body));
  } catch {
    throw new RangeError(`Cannot read JSON from ${cutText(body, QUOTED_BYTES)}`);
  }
}
