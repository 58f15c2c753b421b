/** Making the guest ready for containers. @module */
import { KataError } from "../base/error.ts";
import { setHostname } from "../linux/device/machine.ts";
import { bindMount } from "../linux/mount/mount.ts";
import type { CreateSandboxRequest } from "../proto/agent_pb.ts";
import { GUEST_PATH } from "../agent_api/names.ts";
import type { Guest } from "./guest.ts";
import { hookPath } from "./files/guest_path.ts";
import { loadModule } from "./machine/modules.ts";
import { createSharedNamespaces } from "./machine/shared_namespaces.ts";
import { groupsOf } from "./storage/groups.ts";

const RESOLV_CONF = "/etc/resolv.conf";

/** Carries out CreateSandbox: a clean directory, modules, shared namespaces, storages, name servers. */
export async function createSandbox(
  { sandbox, log, isInit, devices }: Guest,
  request: CreateSandboxRequest,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  // Nobody would release the resources of a sandbox made now.
  if (sandbox.resources.disposed) {
    throw new KataError("FAILED_PRECONDITION", "Cannot create a sandbox: the guest is at its end");
  }
  sandbox.id = request.sandboxId;
  sandbox.guestHookPath = hookPath(request.guestHookPath);
  Deno.mkdirSync(GUEST_PATH.containers, { recursive: true });
  for (const { name, parameters } of request.kernelModules) await loadModule(name, parameters);
  sandbox.namespaces ??= createSharedNamespaces(GUEST_PATH.namespaces, { hostname: request.hostname });
  if (request.hostname !== "" && isInit) setHostname(request.hostname);
  const context = { log, containersDir: GUEST_PATH.containers, devices, signal };
  for (const group of groupsOf(request.storages)) {
    sandbox.resources.use(await sandbox.storages.acquire(group, context));
  }
  if (request.dns.length > 0) sandbox.resources.use(useNameServers(request.dns));
}

/** The image is read-only, so the file is laid over its `/etc/resolv.conf`. */
function useNameServers(lines: readonly string[]): Disposable {
  const path = GUEST_PATH.resolvConf;
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  Deno.writeTextFileSync(path, lines.map((line) => `${line}\n`).join(""));
  return bindMount(path, RESOLV_CONF);
}
