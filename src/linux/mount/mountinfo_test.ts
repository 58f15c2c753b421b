import assert from "node:assert/strict";
import fc from "fast-check";
import {
  findMount,
  isMountPoint,
  mountsBelow,
  outermostBelow,
  parseMountInfo,
  unescapeMountField,
} from "./mountinfo.ts";

const TABLE = `\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
22 21 0:21 / /proc rw,nosuid - proc proc rw
40 21 0:22 /some/dir /mnt/with\\040space ro,nosuid shared:2 master:1 propagate_from:3 - fuse.sshfs host:/x rw,user_id=0
41 21 0:23 / /mnt rw unbindable - tmpfs tmpfs\\011tab rw,size=4k
42 41 0:24 / /mnt/a rw - tmpfs none rw
43 41 0:25 / /mnt/a rw - tmpfs none rw
44 21 0:26 / /mntx rw - tmpfs  rw
`;

Deno.test("parseMountInfo() reads every field and tag", () => {
  const mounts = parseMountInfo(TABLE);
  assert.equal(mounts.length, 7);
  assert.deepEqual(mounts[2], {
    id: 40,
    parentId: 21,
    major: 0,
    minor: 22,
    root: "/some/dir",
    mountPoint: "/mnt/with space",
    options: ["ro", "nosuid"],
    shared: 2,
    master: 1,
    propagateFrom: 3,
    unbindable: false,
    type: "fuse.sshfs",
    source: "host:/x",
    superOptions: ["rw", "user_id=0"],
  });
  assert.ok(mounts[3]?.unbindable);
  assert.equal(mounts[3]?.source, "tmpfs\ttab");
  assert.equal(mounts[6]?.source, "", "an empty source leaves two spaces");
});

Deno.test("parseMountInfo() names the line that it cannot read", () => {
  assert.throws(() => parseMountInfo("21 1 254:0 / / rw"), {
    name: "SyntaxError",
    message: 'Cannot parse mount table line "21 1 254:0 / / rw"',
  });
});

Deno.test("parseMountInfo() ends for any text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      parseMountInfo(text);
    } catch (error) {
      assert.ok(error instanceof SyntaxError);
    }
  }));
});

Deno.test.each([
  { path: "/", id: 21 },
  { path: "/etc", id: 21 },
  { path: "/mnt", id: 41 },
  { path: "/mnt/a/b", id: 43 },
  { path: "/mntx/b", id: 44 },
  { path: "/mnty", id: 21 },
])("findMount($path) is mount $id", ({ path, id }) => {
  assert.equal(findMount(parseMountInfo(TABLE), path)?.id, id);
});

Deno.test("mountsBelow() gives the last mount first and no neighbour of the same prefix", () => {
  assert.deepEqual(mountsBelow(parseMountInfo(TABLE), "/mnt").map(({ id }) => id), [43, 42, 41, 40]);
});

Deno.test("isMountPoint() wants the exact path", () => {
  assert.ok(isMountPoint(parseMountInfo(TABLE), "/mnt/a"));
  assert.ok(!isMountPoint(parseMountInfo(TABLE), "/mnt/b"));
});

Deno.test("unescapeMountField() undoes the kernel's octal escapes only", () => {
  assert.equal(unescapeMountField("a\\040b\\134c\\9"), "a b\\c\\9");
});

Deno.test("F1: outermostBelow() names no mount that is reached through another one below the same path", () => {
  const mounts = parseMountInfo(`20 1 8:1 / / rw - ext4 /dev/sda1 rw
40 20 0:54 / /run/shared/s1/left rw - tmpfs tmpfs rw
30 20 0:50 / /run/shared/s1 rw - tmpfs tmpfs rw
31 30 0:51 / /run/shared/s1/c1/rootfs rw - overlay overlay rw
32 31 0:52 / /run/shared/s1/c1/rootfs/made/by/guest rw - tmpfs tmpfs rw
33 30 0:53 / /run/shared/s1 rw - tmpfs tmpfs rw
41 20 0:55 / /run/shared/s10 rw - tmpfs tmpfs rw
`);
  assert.deepEqual(outermostBelow(mounts, "/run/shared/s1"), ["/run/shared/s1", "/run/shared/s1/left"]);
  assert.deepEqual(outermostBelow(mounts, "/run/none"), []);
});
