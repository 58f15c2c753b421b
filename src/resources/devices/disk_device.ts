/** Disks of the host that a container asks for by name: the machine gets them, and the container a node of its own. @module */
import type { GuestDevice } from "../../agent_api/device.ts";
import { toDiskSource } from "../../agent_api/disk_address.ts";
import { KataError, type KataErrorCode } from "../../base/error.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { Fd, O_EXCL, O_RDONLY } from "../../linux/io/fd.ts";
import type { Logger } from "../../base/log.ts";
import { quoted } from "../../base/text.ts";
import { splitDevice } from "../../linux/device/number.ts";
import type { Device, DeviceRule } from "../../oci/spec/spec.ts";
import type { GuestSide, Handler, HandlerList, HostResource } from "../resource.ts";

/** The guest's side of a device. */
export interface DeviceSide extends GuestSide {
  readonly device: GuestDevice;
}

/** The parts of a container that its devices use. */
export interface DeviceContext {
  containerId: string;
  rules: readonly DeviceRule[];
  log?: Logger;
}

/** Refuses a number that is no disk of the host (INVALID_ARGUMENT), and to write one in use there (FAILED_PRECONDITION). */
const diskDevice: Handler<Device, DeviceContext, HostResource<DeviceSide>> = {
  name: "disk",
  matches: ({ type }) => type === "b",
  prepare(device, { containerId, rules }) {
    const refuse = refusalOf(device, containerId);
    const node = nodeOf(device);
    if (node === undefined) throw refuse("INVALID_ARGUMENT", "the host has no such disk");
    const readOnly = !mayWrite(device, rules) || isReadOnly(device);
    // Two kernels that write one file system destroy it.
    if (!readOnly && isInUse(node)) {
      throw refuse("FAILED_PRECONDITION", "the host has mounted it, or uses it otherwise");
    }
    return {
      name: this.name,
      async attach({ disks }) {
        const user = `device ${quoted(device.path)} of container "${containerId}"`;
        const held = await disks.acquire({ path: node, readOnly, user });
        return { device: { ...toDiskSource(held.address), containerPath: device.path }, held };
      },
      // Nothing was done on the host.
      async [Symbol.asyncDispose]() {},
    };
  },
};

export const DEVICES: HandlerList<Device, DeviceContext, HostResource<DeviceSide>> = {
  kind: "device",
  handlers: [diskDevice],
  describe: ({ path }) => path,
};

/** The host's own node: the engine names only the number. */
function nodeOf({ major = 0, minor = 0 }: Device): string | undefined {
  try {
    const name = /^DEVNAME=(.+)$/m.exec(Deno.readTextFileSync(`/sys/dev/block/${major}:${minor}/uevent`))?.[1];
    const node = `/dev/${name}`;
    const { isBlockDevice, rdev } = Deno.statSync(node);
    const found = splitDevice(rdev ?? 0);
    if (isBlockDevice && found.major === major && found.minor === minor) return node;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return undefined;
}

/** Words the refusal of a device. */
function refusalOf({ path, type, major, minor }: Device, containerId: string) {
  const what = `device ${quoted(path)} (${type} ${major}:${minor})`;
  return (code: KataErrorCode, why: string) =>
    new KataError(code, `Cannot give ${what} to container "${containerId}": ${why}`);
}

/** Whether somebody on the host has it for himself, such as a mount. */
function isInUse(node: string): boolean {
  try {
    Fd.open(node, O_RDONLY | O_EXCL)[Symbol.dispose]();
    return false;
  } catch (error) {
    if (isErrno(error, "EBUSY")) return true;
    throw error;
  }
}

function isReadOnly({ major, minor }: Device): boolean {
  return Deno.readTextFileSync(`/sys/dev/block/${major}:${minor}/ro`).trim() === "1";
}

/** By the last rule that says something about writing it, as in a cgroup. */
export function mayWrite({ major, minor }: Device, rules: readonly DeviceRule[]): boolean {
  const isMeant = (number: number | undefined, own: number | undefined) => (number ?? -1) < 0 || number === own;
  const rule = rules.findLast(({ type = "a", access, ...rule }) =>
    (type === "b" || type === "a") && isMeant(rule.major, major) && isMeant(rule.minor, minor) &&
    (access || "rwm").includes("w")
  );
  return rule?.allow ?? false;
}
