/** The command line's end of the contract: finds the shim of a sandbox, and asks it. @module */
import { KataError } from "../base/error.ts";
import { verifyId } from "../base/id.ts";
import { cutText, plainText, quoted } from "../base/text.ts";
import { openTrusted } from "../linux/fs/trusted.ts";
import { type Management, MANAGEMENT_SOCKET, namedRoutes, readBody, type Route } from "./contract.ts";

/** More than a guest may take that answers slowly: see the shim's `management.ts`. */
const ANSWER_MS = 30_000;
/** Of a refusal. */
const WORDS_BYTES = 4096;
/** Names in an error. */
const MOST_NAMES = 10;

export interface ClientOptions {
  /** Directory of the sandboxes' directories. */
  root: string;
  /** How long an answer may take, in milliseconds. */
  timeoutMs?: number;
}

/** A sandbox's shim that can be asked. Its methods throw KataErrors only; disposing it lets go of the socket's path. */
export interface ManagementClient extends Management, Disposable {
  /** Whole, also if only its beginning was given. */
  readonly sandboxId: string;
}

/**
 * The shim of a sandbox, which is not asked yet.
 *
 * @param id Of the sandbox, or the beginning of one id only, as Kata's tools take it.
 * @throws {KataError} INVALID_ARGUMENT: it can be no id, or is the beginning of several. NOT_FOUND: there is no such
 * sandbox, or its shim serves nobody. PERMISSION_DENIED: others than the administrator could have made the socket.
 */
export function openManagement(id: string, { root, timeoutMs = ANSWER_MS }: ClientOptions): ManagementClient {
  const sandboxId = findSandbox(verifyId(id, "sandbox"), root);
  const path = `${root}/${sandboxId}/${MANAGEMENT_SOCKET}`;
  const socket = openSocket(path, sandboxId);
  const methods = namedRoutes().map(([name, route]) => {
    const call = (...args: never[]) => ask({ path, seen: socket.seen, timeoutMs }, route, route.write(...args));
    return [name, call];
  });
  return { ...Object.fromEntries(methods) as Management, sandboxId, [Symbol.dispose]: () => socket[Symbol.dispose]() };
}

function findSandbox(id: string, root: string): string {
  const all = sandboxIds(root);
  if (all.includes(id)) return id;
  const [only, ...more] = all.filter((each) => each.startsWith(id));
  if (only === undefined) {
    const known = all.length === 0 ? "there is none" : `there are ${listed(all)}`;
    throw new KataError("NOT_FOUND", `Cannot find sandbox ${quoted(id)} in "${root}": ${known}`);
  }
  if (more.length === 0) return only;
  throw new KataError("INVALID_ARGUMENT", `Cannot tell which sandbox ${quoted(id)} is: ${listed([only, ...more])}`);
}

function listed(ids: readonly string[]): string {
  const rest = ids.length - MOST_NAMES;
  return ids.slice(0, MOST_NAMES).map(quoted).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

function sandboxIds(root: string): string[] {
  try {
    return [...Deno.readDirSync(root)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return [];
    const code = cause instanceof Deno.errors.PermissionDenied ? "PERMISSION_DENIED" : "UNAVAILABLE";
    throw new KataError(code, `Cannot look for sandboxes in "${root}"`, { cause });
  }
}

/** The socket itself, whatever becomes of the path. */
function openSocket(path: string, id: string): ReturnType<typeof openTrusted> {
  try {
    using undo = new DisposableStack();
    const socket = undo.use(openTrusted(path));
    if (!Deno.statSync(socket.seen).isSocket) throw new Error("it is no socket");
    undo.move();
    return socket;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") {
      throw new KataError("NOT_FOUND", `Cannot ask the shim of sandbox "${id}": it serves nobody at "${path}"`);
    }
    throw new KataError("PERMISSION_DENIED", `Cannot ask the shim of sandbox "${id}" at "${path}"`, { cause });
  }
}

interface Server {
  /** For messages. */
  path: string;
  seen: string;
  timeoutMs: number;
}

async function ask(
  { path, seen, timeoutMs }: Server,
  route: Route,
  { query = {}, body }: ReturnType<Route["write"]>,
): Promise<string> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: seen } });
  const url = `http://localhost${route.path}?${new URLSearchParams(query)}`;
  const signal = AbortSignal.timeout(timeoutMs);
  let answer: { status: number; text: string };
  try {
    const response = await fetch(url, { client, signal, method: route.method, ...(body !== undefined && { body }) });
    answer = { status: response.status, text: await readBody(response) };
  } catch (cause) {
    if (signal.aborted) {
      throw new KataError("DEADLINE_EXCEEDED", `Cannot reach the shim at "${path}": no answer in ${timeoutMs} ms`);
    }
    if (cause instanceof RangeError) throw new KataError("INTERNAL", `Cannot use the answer of "${path}"`, { cause });
    throw new KataError("UNAVAILABLE", `Cannot reach the shim at "${path}"`, { cause });
  }
  if (answer.status === 200) return answer.text;
  const code = answer.status === 501 ? "UNIMPLEMENTED" : answer.status === 400 ? "INVALID_ARGUMENT" : "INTERNAL";
  const words = plainText(cutText(answer.text.trim(), WORDS_BYTES)).replaceAll("\n", " ");
  throw new KataError(code, `Cannot ${route.method} ${route.path} of the shim at "${path}": ${words}`);
}
