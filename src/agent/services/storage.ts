/** Mounts in the guest: sets new limits, and tells how full they are. @module */
import { KataError } from "../../base/error.ts";
import { pathOf } from "../../linux/io/fd.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { openGuarded } from "../../linux/fs/guarded_path.ts";
import type { Storage } from "../../proto/agent_pb.ts";
import { VolumeUsage_Unit } from "../../proto/csi_pb.ts";
import { GUEST_PATH, STORAGE_DRIVER } from "../../agent_api/names.ts";
import { usageOf } from "../machine/filesystems.ts";
import type { AgentMethods, Guest } from "../guest.ts";
import { remountEphemeral } from "../storage/ephemeral.ts";

/** Storages come with CreateSandbox and CreateContainer; this is about those that are there. */
export function storageMethods({ sandbox: { storages: registry } }: Guest): AgentMethods {
  return {
    updateEphemeralMounts({ storages }) {
      for (const storage of storages) {
        refuseOthers(storage);
        remountEphemeral(storage, registry.placeOf(storage));
      }
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

/** Refuses all storages but memory, which alone has limits to change. @throws {KataError} INVALID_ARGUMENT */
function refuseOthers({ driver, mountPoint }: Storage): void {
  if (driver === STORAGE_DRIVER.ephemeral) return;
  const why = `the driver is "${driver}", and only "${STORAGE_DRIVER.ephemeral}" takes new options`;
  throw new KataError("INVALID_ARGUMENT", `Cannot change the storage at "${mountPoint}": ${why}`);
}

/** Looking at a name makes the kernel notice that the host has taken it away. */
function lookAt(path: string): void {
  try {
    Deno.lstatSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ESTALE", "EACCES")) throw error;
  }
}
