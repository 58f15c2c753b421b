/** The life of a container, and what is asked of it as a whole. @module */
import { KataError } from "../../base/error.ts";
import { resourcesFromProto } from "../../oci/proto.ts";
import type { GuestContainer } from "../container.ts";
import type { AgentPart, Guest } from "../guest.ts";
import { statsToWire } from "../stats.ts";

export function containerPart(guest: Guest): AgentPart {
  const { sandbox } = guest;
  return {
    async createContainer(request) {
      const { createContainer } = await import("../create_container.ts");
      await sandbox.addContainer(request.containerId, () => createContainer(guest, request));
      return {};
    },
    async startContainer({ containerId }) {
      const container = sandbox.container(containerId);
      await container.container.start();
      // The sandbox' own process only holds the namespaces.
      if (containerId !== sandbox.id) container.watchMemory((id) => sandbox.oomEvents.push(id));
      return {};
    },
    async removeContainer({ containerId, timeout }) {
      await withinSeconds(timeout, containerId, sandbox.removeContainer(containerId));
      return {};
    },
    async updateContainer({ containerId, resources }) {
      if (resources !== undefined) await sandbox.container(containerId).container.update(resourcesFromProto(resources));
      return {};
    },
    statsContainer({ containerId }) {
      return { cgroupStats: statsToWire(sandbox.container(containerId).container.stats()) };
    },
    async pauseContainer({ containerId }) {
      await sandbox.container(containerId).container.pause();
      return {};
    },
    async resumeContainer({ containerId }) {
      await sandbox.container(containerId).container.resume();
      return {};
    },
    getDiagnosticData({ logType, containerId }) {
      if (logType !== "termination_log") {
        throw new KataError("INVALID_ARGUMENT", `Cannot get diagnostic data of type "${logType}": no such type`);
      }
      return { data: terminationLog(sandbox.container(containerId)) };
    },
  };
}

/** Gives up waiting after a while; the removal itself goes on. @param seconds 0: for ever. */
async function withinSeconds(seconds: number, containerId: string, removal: Promise<void>): Promise<void> {
  if (seconds === 0) return await removal;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const why = `its processes have not ended within ${seconds} s`;
  const timer = setTimeout(
    () => reject(new KataError("DEADLINE_EXCEEDED", `Cannot remove container "${containerId}": ${why}`)),
    seconds * 1000,
  );
  try {
    await Promise.race([removal, late]);
  } finally {
    clearTimeout(timer);
  }
}

const TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath";
const MAX_LOG_BYTES = 4096;

function terminationLog({ container: { spec } }: GuestContainer): string {
  const destination = spec.annotations?.[TERMINATION_PATH];
  const source = spec.mounts?.find((mount) => mount.destination === destination)?.source;
  if (source === undefined) return "";
  using file = Deno.openSync(source);
  const buffer = new Uint8Array(MAX_LOG_BYTES);
  return new TextDecoder().decode(buffer.subarray(0, file.readSync(buffer) ?? 0));
}
