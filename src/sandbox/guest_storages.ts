/** Storages that every sandbox has in its guest. Pure. @module */
import { GUEST_PATH, SHARED_TAG, STORAGE_DRIVER } from "../agent_api/names.ts";
import type { Storage } from "../agent_api/storage.ts";

/** The shared directory, and the shared memory that all containers see at `/dev/shm`. @param shmBytes Of the latter. */
export function guestStorages(shmBytes: number): readonly Storage[] {
  return [
    {
      driver: STORAGE_DRIVER.virtioFs,
      source: SHARED_TAG,
      fstype: "virtiofs",
      options: ["nodev"],
      mountPoint: `${GUEST_PATH.shared}/`,
    },
    {
      driver: STORAGE_DRIVER.ephemeral,
      source: "shm",
      fstype: "tmpfs",
      options: ["noexec", "nosuid", "nodev", "mode=1777", `size=${shmBytes}`],
      mountPoint: GUEST_PATH.shm,
    },
  ];
}
