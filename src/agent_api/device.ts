/** Devices that a container has and that were plugged into the machine for it, and their message. Pure. @module */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { KataError } from "../base/error.ts";
import type { Device as DeviceMessage, DeviceSchema } from "../proto/agent_pb.ts";
import { DISK_DRIVERS, type DiskDriver, type DiskSource } from "./disk_address.ts";
import { DEVICE_DRIVER } from "./names.ts";

export interface GuestDevice extends DiskSource {
  /** Of its entry in the container's specification, which gets the numbers that it has in the guest. */
  containerPath: string;
}

export function devicesToWire(devices: readonly GuestDevice[]): MessageInitShape<typeof DeviceSchema>[] {
  return devices.map(({ driver, source, containerPath }) => {
    const place = driver === DEVICE_DRIVER.blockMmio ? { vmPath: source } : { id: source };
    return { type: driver, containerPath, ...place };
  });
}

/** @throws {KataError} UNIMPLEMENTED: its type is no disk's; INVALID_ARGUMENT: it has no place or no path. */
export function deviceFromWire({ type, id, vmPath, containerPath }: DeviceMessage): GuestDevice {
  if (!isDiskDriver(type)) {
    const why = `this agent has no handler for device driver "${type}" yet`;
    throw new KataError("UNIMPLEMENTED", `Cannot use device "${containerPath}": ${why}`);
  }
  const source = id === "" ? vmPath : id;
  if (source !== "" && containerPath !== "") return { driver: type, source, containerPath };
  throw new KataError("INVALID_ARGUMENT", `Cannot use device "${containerPath}": it needs a path and a place`);
}

function isDiskDriver(type: string): type is DiskDriver {
  return (DISK_DRIVERS as readonly string[]).includes(type);
}
