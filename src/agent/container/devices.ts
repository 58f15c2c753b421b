/** Devices of a container that the host has plugged in for it. @module */
import { deviceFromWire } from "../../agent_api/device.ts";
import { fromDiskSource } from "../../agent_api/disk_address.ts";
import { KataError } from "../../base/error.ts";
import { splitDevice } from "../../linux/device/number.ts";
import type { Device, DeviceRule, Spec } from "../../oci/spec/spec.ts";
import type { Device as DeviceMessage } from "../../proto/agent_pb.ts";
import type { DeviceWaiter } from "../devices/waiter.ts";

export interface DeviceNumber {
  major: number;
  minor: number;
}

export interface DevicesContext {
  devices: DeviceWaiter;
  /** The caller has given up. */
  signal: AbortSignal;
  /** Lets go of them again. */
  undo: AsyncDisposableStack;
}

/** Waits for a container's devices. @returns Their numbers in this guest, by the paths in the container. */
export async function attachDevices(
  requests: readonly DeviceMessage[],
  { devices, signal, undo }: DevicesContext,
): Promise<ReadonlyMap<string, DeviceNumber>> {
  const numbers = new Map<string, DeviceNumber>();
  for (const request of requests) {
    const { containerPath, ...source } = deviceFromWire(request);
    const disk = undo.use(await devices.disk(fromDiskSource(source), { signal }));
    numbers.set(containerPath, splitDevice(Deno.statSync(disk.node).rdev ?? 0));
  }
  return numbers;
}

/**
 * Gives a specification the numbers that devices have in this guest, in place of the host's: its devices by their paths,
 * and its rules for the same numbers. Pure.
 *
 * @throws {KataError} INVALID_ARGUMENT: there is no device of a path.
 */
export function withGuestNumbers(spec: Spec, numbers: ReadonlyMap<string, DeviceNumber>): Spec {
  if (numbers.size === 0) return spec;
  const { devices = [], resources } = spec.linux ?? {};
  const byHost = new Map<string, DeviceNumber>();
  for (const [path, number] of numbers) {
    const device = devices.find((one) => one.path === path);
    if (device === undefined) {
      throw new KataError("INVALID_ARGUMENT", `Cannot give a container device "${path}": its specification has none`);
    }
    if (devices.some((one) => one.path === path && one !== device)) {
      throw new KataError("INVALID_ARGUMENT", `Cannot give a container device "${path}": its specification has two`);
    }
    byHost.set(keyOf(device), number);
  }
  const rules = resources?.devices?.map((rule) => ({ ...rule, ...(byHost.get(keyOf(rule)) ?? {}) }));
  return {
    ...spec,
    linux: {
      ...spec.linux,
      devices: devices.map((device) => ({ ...device, ...(numbers.get(device.path) ?? {}) })),
      ...(resources && { resources: { ...resources, ...(rules && { devices: rules }) } }),
    },
  };
}

function keyOf({ type, major, minor }: Pick<Device | DeviceRule, "type" | "major" | "minor">): string {
  return `${type} ${major}:${minor}`;
}
