/** Answers of a running shim about its sandbox to whoever asks at its socket: see `shim_api`. @module */
import { abortable } from "../base/async.ts";
import { errorChain } from "../base/error.ts";
import type { Logger } from "../base/log.ts";
import { type Family, parseFamilies, renderFamilies } from "../base/prometheus.ts";
import { plainText } from "../base/text.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { type Management, MANAGEMENT_SOCKET } from "../shim_api/contract.ts";
import { serveManagement } from "../shim_api/server.ts";
import { networkFamily, processFamilies } from "./metrics/process_metrics.ts";

/** A guest that is slow to answer must not hold up what the host knows. */
const GUEST_MS = 10_000;

/** A sandbox, as far as it is told of. */
export type ManagedSandbox = Pick<Sandbox, "ended" | "id" | "machine" | "pid" | "runDir">;

/** Serves until the sandbox ends. A sandbox that cannot be asked is no worse a sandbox: that is only logged. */
export async function manageSandbox(sandbox: ManagedSandbox, { log }: { log: Logger }): Promise<void> {
  const stop = new AbortController();
  void sandbox.ended.then(() => stop.abort());
  try {
    await serveManagement(`${sandbox.runDir}/${MANAGEMENT_SOCKET}`, managementOf(sandbox), { signal: stop.signal });
  } catch (error) {
    log.warning("Cannot serve the sandbox's metrics", { sandbox: sandbox.id, error });
  }
}

/** The requests that are answered. */
export function managementOf(sandbox: ManagedSandbox): Pick<Management, "agentUrl" | "metrics"> {
  return {
    // deno-lint-ignore require-await -- a monitor that has only begun to boot throws
    agentUrl: async () => sandbox.machine.vm.agentAddress(),
    metrics: async () => {
      const guest = await guestMetrics(sandbox).catch((error) => `# The guest's are missing: ${oneLine(error)}\n`);
      return renderFamilies([...processFamilies("kata_shim", Deno.pid), ...monitorFamilies(sandbox)]) + guest;
    },
  };
}

/** None while there is no monitor, or if it runs elsewhere. */
function monitorFamilies({ pid }: ManagedSandbox): Family[] {
  return pid === 0 ? [] : [...processFamilies("kata_hypervisor", pid), networkFamily(pid)];
}

function oneLine(error: unknown): string {
  return plainText(errorChain(error)).replaceAll("\n", " ");
}

/**
 * The guest's figures. Its root may say anything: what is passed on are families of its own, each line a sample, and
 * nothing that a terminal obeys.
 *
 * @throws {RangeError} A line is none.
 */
async function guestMetrics({ machine }: ManagedSandbox): Promise<string> {
  const agent = await abortable(machine.agent, AbortSignal.timeout(GUEST_MS));
  const families = parseFamilies(plainText(await agent.machine.metrics({ timeoutMs: GUEST_MS })));
  return renderFamilies(families.filter(({ name }) => /^kata_(?:agent|guest)_/.test(name)));
}
