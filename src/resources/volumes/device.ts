/** Bind mounts of device nodes: the guest's kernel has its own of those that every kernel has. @module */
import type { Mount } from "../../oci/spec/spec.ts";
import type { Source } from "./source.ts";
import { keep, refuse, type Volume } from "./volume.ts";

/** By number, which is the same everywhere; so a node of another name is known as well. */
const IN_GUEST: Readonly<Record<string, string>> = {
  "1:3": "/dev/null",
  "1:5": "/dev/zero",
  "1:7": "/dev/full",
  "1:8": "/dev/random",
  "1:9": "/dev/urandom",
  "1:11": "/dev/kmsg",
  "5:0": "/dev/tty",
  "10:200": "/dev/net/tun",
  "10:229": "/dev/fuse",
};

/**
 * @returns undefined if the source is no device.
 * @throws {KataError} UNIMPLEMENTED: the guest does not have it.
 */
export function deviceVolume(mount: Mount, { kind, device }: Source): Volume | undefined {
  if (kind !== "character" && kind !== "block") return undefined;
  const number = `${device.major}:${device.minor}`;
  const path = kind === "character" ? IN_GUEST[number] : undefined;
  if (path === undefined) {
    throw refuse(mount, `it is ${kind} device ${number} of the host, which the guest does not have`);
  }
  return keep({ ...mount, source: path }, "file");
}
