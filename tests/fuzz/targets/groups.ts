/** Groups that a container made, of any name and depth, and gone while they are looked at: no other is touched. @module */
import { removeCgroupsBelow, visitCgroups } from "../../../src/linux/cgroup/tree.ts";
import { listEntries, mkdirAt, rmdirAt } from "../../../src/linux/fs/directory.ts";
import { fileIdentity } from "../../../src/linux/fs/identity.ts";
import { Fd, O_DIRECTORY, O_PATH } from "../../../src/linux/io/fd.ts";
import { countDescriptors } from "../core/left.ts";
import type { Random } from "../core/random.ts";
import { defineTarget, hold } from "../core/target.ts";
import { anyText } from "../core/text.ts";

/** Deeper than a path is long. */
const DEEPEST = 1200;
const LONG = "n".repeat(200);

interface Group {
  /** Name as bytes: it need not be text. */
  name: Uint8Array<ArrayBuffer>;
  groups: Group[];
}

function anyGroups(random: Random, depth: number): Group[] {
  return random.times(random.few(5), () => ({
    name: random.once(3) ? anyName(random) : new TextEncoder().encode(random.pick(["a", "b", "c", "..a", " ", LONG])),
    groups: depth > 0 ? anyGroups(random, depth - 1) : [],
  }));
}

/** Name that a file system takes: neither empty, nor too long, nor with a slash or NUL. */
function anyName(random: Random): Uint8Array<ArrayBuffer> {
  const bytes = random.once(2) ? random.bytes(random.between(1, 30)) : new TextEncoder().encode(anyText(random));
  const name = bytes.filter((byte) => byte !== 0 && byte !== 0x2f).slice(0, 255);
  return name.every((byte) => byte === 0x2e) ? Uint8Array.of(0xff, 0xfe) : name;
}

export const cgroupTree = defineTarget({
  name: "cgroup-tree",
  rounds: 30,
  make: (random) => ({
    groups: anyGroups(random, 4),
    depth: random.once(20) ? random.below(DEEPEST) : random.few(20),
    others: random.times(random.few(4), () => random.pick(["file", "link", "link to a directory", "fifo"])),
    /** Of the groups that are entered, how many go on to be removed by somebody else. */
    vanishing: random.few(6),
    isRemoved: random.once(2),
  }),
  async run({ groups, depth, others, vanishing, isRemoved }, { inside, outside }) {
    const root = `${inside}/groups`;
    Deno.mkdirSync(root);
    try {
      const count = await plant(root, groups) + plantDeep(root, depth);
      for (const [at, kind] of others.entries()) plantOther(`${root}/other${at}`, kind, outside);
      const outer = ["", "/deep", "/deep/er"].map((path) => identityOf(`${outside}${path}`));
      const before = countDescriptors();
      let [entered, left, vanished] = [0, 0, 0];
      visitCgroups(root, {
        enter(group) {
          hold(!outer.includes(fileIdentity(group)), "what is entered is a group below");
          entered++;
          if (vanished < vanishing && removeOneBelow(group)) vanished++;
        },
        leave: () => left++,
      });
      hold(entered === left, "each group that is entered is left");
      hold(entered <= count && entered >= count - vanished, `all ${count} groups are seen, not ${entered}`);
      // What is no group stands in the way of no other one.
      if (isRemoved) removeCgroupsBelow(root);
      hold(countDescriptors() === before, "descriptors are closed");
      const still = isRemoved ? [...Deno.readDirSync(root)].filter(({ isDirectory }) => isDirectory) : [];
      hold(still.length === 0, "no group is left");
    } finally {
      await new Deno.Command("rm", { args: ["-rf", "--one-file-system", "--", root] }).output();
    }
  },
});

/** By one process for all: our own functions take names that are text. @returns How many there are. */
async function plant(root: string, groups: readonly Group[]): Promise<number> {
  const paths: Uint8Array<ArrayBuffer>[] = [];
  const walk = (below: Uint8Array, group: Group) => {
    const path = Uint8Array.from([...below, 0x2f, ...group.name]);
    paths.push(path);
    for (const inner of group.groups) walk(path, inner);
  };
  for (const group of groups) walk(Uint8Array.of(0x2e), group);
  if (paths.length === 0) return 0;
  const child = new Deno.Command("xargs", {
    args: ["-0", "mkdir", "-p", "--"],
    cwd: root,
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  for (const path of paths) await writer.write(Uint8Array.from([...path, 0]));
  await writer.close();
  await child.status;
  return new Set(paths.map((path) => path.toHex())).size;
}

function plantDeep(root: string, depth: number): number {
  let directory = Fd.open(root, O_PATH | O_DIRECTORY);
  try {
    for (let level = 0; level < depth; level++) {
      using above = directory;
      mkdirAt(above, "deep", 0o755);
      directory = Fd.openAt(above, "deep", { flags: O_PATH | O_DIRECTORY });
    }
  } finally {
    directory[Symbol.dispose]();
  }
  return depth;
}

function plantOther(path: string, kind: string, outside: string): void {
  if (kind === "file") Deno.writeTextFileSync(path, "");
  else if (kind === "fifo") new Deno.Command("mkfifo", { args: [path] }).outputSync();
  else Deno.symlinkSync(kind === "link" ? `${outside}/file` : `${outside}/deep`, path);
}

function identityOf(path: string): string {
  using file = Fd.open(path, O_PATH);
  return fileIdentity(file);
}

/** An empty group of those below, as the container may do at any time. */
function removeOneBelow(group: Fd): boolean {
  for (const { name } of [...listEntries(group)]) {
    try {
      rmdirAt(group, name);
      return true;
    } catch {
      // It is not empty, or no group.
    }
  }
  return false;
}
