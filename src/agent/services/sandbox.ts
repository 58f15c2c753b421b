/** The sandbox as a whole: its beginning and end, what it can do, and what happens in it. @module */
import { exists } from "../../base/files.ts";
import { verifyId } from "../../base/id.ts";
import { VERSION } from "../../base/version.ts";
import { createSandbox } from "../create_sandbox.ts";
import type { AgentMethods, Guest } from "../guest.ts";
import { storageDrivers } from "../storage/registry.ts";

const MEMORY_DEVICES = "/sys/devices/system/memory";

/** DestroySandbox ends the agent, and with it the machine if that is its own, unless the guest is to be kept. */
export function sandboxMethods(guest: Guest): AgentMethods {
  const { sandbox } = guest;
  return {
    async createSandbox(request, { signal }) {
      if (request.sandboxId !== "") verifyId(request.sandboxId, "sandbox");
      await createSandbox(guest, request, { signal });
      return {};
    },
    async destroySandbox({ keepGuest }) {
      if (keepGuest) return await sandbox.reset().then(() => ({}));
      using _ = { [Symbol.dispose]: guest.shutDown }; // whatever could not be cleaned up ends with the machine
      await sandbox[Symbol.asyncDispose]();
      return {};
    },
    getGuestDetails({ memBlockSize, memHotplugProbe }) {
      return {
        memBlockSizeBytes: memBlockSize ? memoryBlockSize() : 0n,
        supportMemHotplugProbe: memHotplugProbe && exists(`${MEMORY_DEVICES}/probe`),
        agentDetails: {
          version: VERSION,
          initDaemon: guest.isInit,
          deviceHandlers: [],
          storageHandlers: storageDrivers(),
          supportsSeccomp: true,
          extraFeatures: ["seccomp"],
        },
      };
    },
    async getOOMEvent(_request, { signal }) {
      return { containerId: await sandbox.oomEvents.next(AbortSignal.any([signal, guest.signal])) };
    },
  };
}

function memoryBlockSize(): bigint {
  const path = `${MEMORY_DEVICES}/block_size_bytes`;
  return exists(path) ? BigInt(`0x${Deno.readTextFileSync(path).trim()}`) : 0n;
}
