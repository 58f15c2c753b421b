/** Bind mounts of device nodes: the guest's kernel has its own of those that every kernel has. @module */
import { readyVolume, refuse, type VolumeHandler } from "./volume.ts";

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

/** Refuses what the guest does not have, with UNIMPLEMENTED. */
export const deviceVolume: VolumeHandler = {
  name: "device",
  matches: ({ source: { kind } }) => kind === "character" || kind === "block",
  prepare({ mount, source: { kind, device } }) {
    const number = `${device.major}:${device.minor}`;
    const path = kind === "character" ? IN_GUEST[number] : undefined;
    if (path === undefined) {
      throw refuse(mount, `it is ${kind} device ${number} of the host, which the guest does not have`);
    }
    return readyVolume(this.name, { mount: { ...mount, source: path } }, { node: "file" });
  },
};
