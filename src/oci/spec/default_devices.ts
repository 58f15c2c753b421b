/** Device nodes that each container has unasked. @module */
import type { Device } from "./spec.ts";

/** @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md#default-devices */
export const DEFAULT_DEVICES: readonly (Device & { major: number; minor: number })[] = [
  { path: "/dev/null", type: "c", major: 1, minor: 3 },
  { path: "/dev/zero", type: "c", major: 1, minor: 5 },
  { path: "/dev/full", type: "c", major: 1, minor: 7 },
  { path: "/dev/random", type: "c", major: 1, minor: 8 },
  { path: "/dev/urandom", type: "c", major: 1, minor: 9 },
  { path: "/dev/tty", type: "c", major: 5, minor: 0 },
];

/** Of a node without a mode of its own. */
export const DEFAULT_MODE = 0o666;

/** Whether a container has this very node in any case. */
export function isDefaultDevice(
  { path, type, major, minor, fileMode = DEFAULT_MODE, uid = 0, gid = 0 }: Device,
): boolean {
  const isUsual = (fileMode & 0o7777) === DEFAULT_MODE && uid === 0 && gid === 0;
  return isUsual &&
    DEFAULT_DEVICES.some((one) =>
      one.path === path && one.major === major && one.minor === minor && (type === "c" || type === "u")
    );
}
