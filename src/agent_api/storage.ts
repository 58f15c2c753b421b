/** Storages, which the agent mounts or makes for containers before it creates them, and their message. Pure. @module */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StorageSchema } from "../proto/agent_pb.ts";
import type { StorageDriver } from "./names.ts";

export interface Storage {
  /** How the agent finds and makes it; it says what `source` means. */
  driver: StorageDriver;
  driverOptions?: readonly string[];
  source: string;
  fstype?: string;
  /** Of the mount, and those that the driver understands. */
  options: readonly string[];
  /** In the guest. */
  mountPoint: string;
  /** Stays when its last container ends: the sandbox's others may come to use it. */
  shared?: boolean;
}

export function storagesToWire(storages: readonly Storage[]): MessageInitShape<typeof StorageSchema>[] {
  return storages.map(({ driverOptions = [], options, ...storage }) => {
    return { ...storage, driverOptions: [...driverOptions], options: [...options] };
  });
}
