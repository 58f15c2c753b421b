/** What every sandbox has mounted in its guest. Pure. @module */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StorageSchema } from "../proto/agent_pb.ts";
import { GUEST_PATH, SHARED_TAG, STORAGE_DRIVER } from "../rpc/agent_api.ts";

type Storage = MessageInitShape<typeof StorageSchema>;

/** Size of the shared memory of a sandbox, in bytes, as Docker and Kubernetes have it. */
const SHM_BYTES = 64 * 1024 * 1024;

/** The shared directory, and the shared memory that all containers see at `/dev/shm`. */
export function guestStorages(): readonly Storage[] {
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
      options: ["noexec", "nosuid", "nodev", "mode=1777", `size=${SHM_BYTES}`],
      mountPoint: GUEST_PATH.shm,
    },
  ];
}
