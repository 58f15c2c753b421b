/** The life of a container, and what is asked of it as a whole. @module */
import { MAX_TIMER_MS } from "../../base/clock.ts";
import { KataError } from "../../base/error.ts";
import { resourcesFromProto } from "../../agent_api/spec_codec.ts";
import { statsToWire } from "../../agent_api/stats_codec.ts";
import type { AgentMethods, Guest } from "../guest.ts";

/** Everything about a container but its processes. */
export function containerMethods(guest: Guest): AgentMethods {
  const { sandbox } = guest;
  return {
    async createContainer(request, { signal }) {
      const { createContainer } = await import("../container/create.ts");
      await sandbox.addContainer(request.containerId, () => createContainer(guest, request, { signal }));
      return {};
    },
    async startContainer({ containerId }) {
      const container = sandbox.container(containerId);
      const started = container.container.start();
      // Watches while it starts: what runs out of memory at once must not do so unseen.
      container.watchMemory((id) => sandbox.oomEvents.push(id));
      await started;
      return {};
    },
    async removeContainer({ containerId, timeout }) {
      await withinSeconds(timeout, containerId, sandbox.removeContainer(containerId));
      return {};
    },
    async updateContainer({ containerId, resources }) {
      const { container } = sandbox.container(containerId);
      if (resources !== undefined) await container.update(resourcesFromProto(resources));
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
  };
}

/** Gives up waiting after a while; the removal itself goes on. @param seconds 0: for ever. */
async function withinSeconds(seconds: number, containerId: string, removal: Promise<void>): Promise<void> {
  if (seconds === 0) return await removal;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const why = `its processes have not ended within ${seconds} s`;
  const timer = setTimeout(
    () => reject(new KataError("DEADLINE_EXCEEDED", `Cannot remove container "${containerId}": ${why}`)),
    Math.min(seconds * 1000, MAX_TIMER_MS),
  );
  try {
    await Promise.race([removal, late]);
  } finally {
    clearTimeout(timer);
  }
}
