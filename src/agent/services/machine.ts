/** Resources of the machine that change while it runs, its clock and its randomness. @module */
import { addEntropy, setClock, swapOn } from "../../linux/device/machine.ts";
import type { AgentMethods, Guest } from "../guest.ts";
import { onlineCpus, onlineMemoryFromNowOn, onlineNewMemory, SYSTEM_DEVICES } from "../machine/hotplug.ts";

/** Methods that change the machine, which must be a guest: on a host they would change the host. */
export function machineMethods({ devices }: Pick<Guest, "devices">): AgentMethods {
  return {
    async onlineCPUMem({ nbCpus, cpuOnly, wait }, { signal }) {
      await onlineCpus(nbCpus, { devices, signal });
      // Other hosts do not say whether they have plugged in memory at all.
      if (!cpuOnly && wait) await onlineNewMemory({ devices, signal });
      else if (!cpuOnly) onlineMemoryFromNowOn();
      return {};
    },
    memHotplugByProbe({ memHotplugProbeAddr }) {
      for (const address of memHotplugProbeAddr) {
        Deno.writeTextFileSync(`${SYSTEM_DEVICES}/memory/probe`, `0x${address.toString(16).toUpperCase()}`);
      }
      return {};
    },
    reseedRandomDev({ data }) {
      addEntropy(data);
      return {};
    },
    /** By the slots on the way from the root bus. The disk stays in use until the machine ends. */
    async addSwap({ PCIPath }, { signal }) {
      const path = PCIPath.map((slot) => slot.toString(16).padStart(2, "0")).join("/");
      const disk = await devices.disk({ bus: "pci", path }, { signal });
      swapOn(disk.node);
      return {};
    },
    addSwapPath({ path }) {
      swapOn(path);
      return {};
    },
    setGuestDateTime({ Sec, Usec }) {
      setClock({ seconds: Sec, nanoseconds: Number(Usec) * 1000 });
      return {};
    },
  };
}
