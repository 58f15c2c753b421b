/** What is mounted in the guest: new limits, and how full it is. @module */
import { pathOf } from "../../linux/fd.ts";
import { isErrno } from "../../linux/errno.ts";
import { openGuarded } from "../../linux/guarded_path.ts";
import { VolumeUsage_Unit } from "../../proto/csi_pb.ts";
import { GUEST_PATH } from "../../rpc/agent_api.ts";
import { usageOf } from "../filesystems.ts";
import type { AgentPart, Guest } from "../guest.ts";
import { remountEphemeral } from "../storage/ephemeral.ts";

/** Storages come with CreateSandbox and CreateContainer; this is about those that are there. */
export function storagePart({ sandbox: { storages: registry } }: Guest): AgentPart {
  return {
    updateEphemeralMounts({ storages }) {
      for (const storage of storages) remountEphemeral(storage, registry.guard(storage.mountPoint));
      return {};
    },
    removeStaleVirtiofsShareMounts() {
      for (const { name } of Deno.readDirSync(GUEST_PATH.shared)) lookAt(`${GUEST_PATH.shared}/${name}`);
      return {};
    },
    getVolumeStats({ volumeGuestPath }) {
      using volume = openGuarded(registry.guard(volumeGuestPath));
      const { bytes, inodes } = usageOf(pathOf(volume));
      return {
        usage: [{ ...bytes, unit: VolumeUsage_Unit.BYTES }, { ...inodes, unit: VolumeUsage_Unit.INODES }],
        volumeCondition: { abnormal: false, message: "OK" },
      };
    },
  };
}

/** Looking at a name makes the kernel notice that the host has taken it away. */
function lookAt(path: string): void {
  try {
    Deno.lstatSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ESTALE", "EACCES")) throw error;
  }
}
