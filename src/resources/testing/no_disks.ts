/** A machine for tests, whose monitor takes no disks. @module */
import { createLogger } from "../../base/log.ts";
import { BlockDevices } from "../devices/block_devices.ts";
import type { RunningMachine } from "../resource.ts";

export const NO_DISKS: RunningMachine = {
  disks: new BlockDevices({
    vm: { name: "none" },
    signal: new AbortController().signal,
    log: createLogger({ sink: () => {} }),
  }),
  podRoot: "/run/kata-containers/shared/containers/passthrough/s1/rootfs",
  memoryMiB: () => Promise.resolve(512),
};
