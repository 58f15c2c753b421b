/** The shim's end of the contract. @module */
import { errorChain } from "../base/error.ts";
import { plainText, quoted } from "../base/text.ts";
import { type Management, namedRoutes, readBody } from "./contract.ts";

/**
 * Serves at `path` until the signal fires. A request that `management` lacks is answered 501. Nobody but the owner of
 * the socket may ask.
 *
 * @throws {Error} It cannot listen there.
 */
export async function serveManagement(
  path: string,
  management: Partial<Management>,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const before = Deno.umask(0o177);
  let server: Deno.HttpServer;
  try {
    server = Deno.serve({ path, signal, onListen: () => {} }, (request) => answer(request, management));
  } finally {
    Deno.umask(before);
  }
  await server.finished;
}

async function answer(request: Request, management: Partial<Management>): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const found = namedRoutes().find(([, { method, path }]) => method === request.method && path === pathname);
  if (found === undefined) return refusal(404, `No ${request.method} ${quoted(pathname)} here`);
  const [name, route] = found;
  const handler = management[name] as ((...args: readonly unknown[]) => Promise<unknown>) | undefined;
  if (handler === undefined) return refusal(501, `This shim does not serve ${request.method} ${pathname}`);
  let args: readonly unknown[];
  try {
    args = route.read(searchParams, await readBody(request));
  } catch (error) {
    return refusal(400, errorChain(error));
  }
  try {
    return new Response(String(await handler.apply(management, [...args]) ?? ""));
  } catch (error) {
    return refusal(500, errorChain(error));
  }
}

function refusal(status: number, why: string): Response {
  return new Response(`${plainText(why)}\n`, { status });
}
