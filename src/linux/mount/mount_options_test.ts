import assert from "node:assert/strict";
import {
  knownMountOptions,
  MOUNT_ATTR,
  type MountOptions,
  MS,
  parseMountOptions,
  parsePropagation,
} from "./mount_options.ts";

const NONE: MountOptions = {
  flags: 0,
  cleared: 0,
  propagation: [],
  recursive: undefined,
  idmap: undefined,
  copyUp: false,
  data: "",
};

const CASES: { words: string[]; means: Partial<MountOptions> }[] = [
  { words: [], means: {} },
  { words: ["defaults", ""], means: {} },
  { words: ["ro", "nosuid", "noexec", "nodev"], means: { flags: MS.RDONLY | MS.NOSUID | MS.NOEXEC | MS.NODEV } },
  { words: ["rbind", "rslave"], means: { flags: MS.BIND | MS.REC, propagation: [MS.SLAVE | MS.REC] } },
  { words: ["ro", "rw"], means: { flags: 0, cleared: MS.RDONLY } },
  { words: ["rw", "ro"], means: { flags: MS.RDONLY, cleared: 0 } },
  { words: ["size=64k", "mode=755", "nosuid"], means: { flags: MS.NOSUID, data: "size=64k,mode=755" } },
  { words: ["private", "rshared"], means: { propagation: [MS.PRIVATE, MS.SHARED | MS.REC] } },
  { words: ["rro"], means: { recursive: { set: MOUNT_ATTR.RDONLY, clear: 0 } } },
  { words: ["rro", "rrw"], means: { recursive: { set: 0, clear: MOUNT_ATTR.RDONLY } } },
  { words: ["rrw", "rro"], means: { recursive: { set: MOUNT_ATTR.RDONLY, clear: 0 } } },
  {
    words: ["rnoatime", "rnosuid"],
    means: { recursive: { set: MOUNT_ATTR.NOATIME | MOUNT_ATTR.NOSUID, clear: MOUNT_ATTR.ATIME } },
  },
  {
    words: ["rnoatime", "rstrictatime"],
    means: { recursive: { set: MOUNT_ATTR.STRICTATIME, clear: MOUNT_ATTR.ATIME } },
  },
  { words: ["ridmap", "bind"], means: { flags: MS.BIND, idmap: "ridmap" } },
  { words: ["tmpcopyup", "toString"], means: { copyUp: true, data: "toString" } },
];

Deno.test.each(CASES.map(({ words, means }) => ({ text: words.join(","), words, means })))(
  'parseMountOptions("$text")',
  ({ words, means }) => assert.deepEqual(parseMountOptions(words), { ...NONE, ...means }),
);

Deno.test("knownMountOptions() holds words that parseMountOptions() understands, sorted", () => {
  const known = knownMountOptions();
  assert.deepEqual(known, known.toSorted());
  for (const word of known) assert.equal(parseMountOptions([word]).data, "", word);
});

Deno.test("parsePropagation() refuses other words", () => {
  assert.equal(parsePropagation("rslave"), MS.SLAVE | MS.REC);
  assert.throws(() => parsePropagation("slaves"), { message: 'Cannot parse mount propagation "slaves"' });
});
