import assert from "node:assert/strict";
import { parseMountInfo } from "../linux/mount/mountinfo.ts";
import { isHidden } from "./kernel_mounts.ts";

function hidden(lines: readonly string[]): number[] {
  const mounts = parseMountInfo(
    lines.map((line) => {
      const [ids, point, type] = line.split("|");
      return `${ids} 0:1 / ${point} rw - ${type} none rw`;
    }).join("\n"),
  );
  return mounts.filter((mount) => isHidden(mount, mounts)).map(({ id }) => id);
}

Deno.test("isHidden() knows what another mount covers, at its place or above it", () => {
  assert.deepEqual(hidden(["1 0|/v|ext4", "2 1|/v/proc|proc", "3 2|/v/proc|tmpfs"]), [2]);
  assert.deepEqual(hidden(["1 0|/v|ext4", "2 1|/v/a/proc|proc", "3 1|/v/a|tmpfs"]), [2]);
  assert.deepEqual(hidden(["1 0|/v|ext4", "2 1|/v/sys|sysfs", "3 2|/v/sys/fs|cgroup2", "4 2|/v/sys|sysfs"]), [2, 3]);
});

Deno.test("isHidden() takes no mount beside the way, on the way or below for one that covers", () => {
  assert.deepEqual(hidden(["1 0|/v|ext4", "2 1|/v/a|tmpfs", "3 2|/v/a/proc|proc"]), []);
  assert.deepEqual(hidden(["1 0|/v|ext4", "2 1|/v/proc|proc", "3 2|/v/proc/x|tmpfs", "4 1|/v/pro|tmpfs"]), []);
});

Deno.test("isHidden() does not go by names that are no text", () => {
  assert.deepEqual(hidden(["1 0|/v|ext4", "2 1|/v/a\ufffd/proc|proc", "3 1|/v/a\ufffd|tmpfs"]), []);
});
