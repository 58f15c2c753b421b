/** Paths in trees that others fill: copies, volumes, databases, removal. Nothing leaves the tree. @module */
import { create } from "@bufbuild/protobuf";
import { copyInto } from "../../../src/agent/files/copy_file.ts";
import { parseCopy } from "../../../src/agent/files/copy_request.ts";
import { guardPath } from "../../../src/agent/files/guest_path.ts";
import { Fd, O_DIRECTORY, O_PATH } from "../../../src/linux/io/fd.ts";
import { makeGuarded, openGuarded } from "../../../src/linux/fs/guarded_path.ts";
import { openBeneath, openInRoot } from "../../../src/linux/fs/in_root.ts";
import { removePath, removeTree } from "../../../src/linux/fs/remove_tree.ts";
import { resolveInside } from "../../../src/oci/mount/inside.ts";
import { readPasswd } from "../../../src/oci/init/user.ts";
import { CopyFileRequestSchema } from "../../../src/proto/agent_pb.ts";
import { anyMessage } from "../core/message.ts";
import { defineTarget, hold, type Scratch } from "../core/target.ts";
import { anyPath, anyTree, type Entry, plantTree } from "../core/trees.ts";

const MODES = [0o100644, 0o100600, 0o104755, 0o040755, 0o041777, 0o120777, 0o120777, 0o010644, 0o060644, 0];

export const copyFile = defineTarget({
  name: "copy-file",
  rounds: 300,
  make: (random) => ({
    tree: anyTree(random),
    requests: random.times(random.between(1, 4), () => {
      const request = anyMessage(random, CopyFileRequestSchema);
      const data = random.once(3) ? new TextEncoder().encode(anyPath(random)) : request.data;
      return {
        ...plain(request),
        path: random.once(10) ? request.path : `SHARED/${anyPath(random)}`,
        fileMode: random.once(12) ? request.fileMode : random.pick(MODES),
        data,
        offset: random.once(8) ? request.offset : BigInt(random.pick([0, 0, 1, data.length])),
        fileSize: random.once(8) ? request.fileSize : BigInt(data.length),
      };
    }),
  }),
  run({ tree, requests }, scratch) {
    const shared = `${scratch.inside}/shared`;
    plantTree(shared, tree, scratch);
    const errors: unknown[] = [];
    for (const { path, ...request } of requests) {
      const message = create(CopyFileRequestSchema, { ...request, path: path.replace("SHARED", shared) });
      try {
        copyInto(shared, parseCopy(message, shared));
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors);
  },
});

/** A message without what only its library knows. */
function plain<T extends object>(message: T): Omit<T, "$typeName" | "$unknown"> {
  const { $typeName: _name, $unknown: _unknown, ...fields } = message as T & {
    $typeName?: unknown;
    $unknown?: unknown;
  };
  return fields as Omit<T, "$typeName" | "$unknown">;
}

type Walk = (root: string, path: string, scratch: Scratch) => void;

/** Which file of the host is open: by device and number. */
function identityOf(file: Fd): string {
  const { dev, ino } = Deno.statSync(`/proc/self/fd/${file.number}`);
  return `${dev}:${ino}`;
}

function isOutside(file: Fd, { outside }: Scratch): boolean {
  return ["", "/deep", "/deep/er", "/file", "/deep/file"].some((path) => {
    const { dev, ino } = Deno.statSync(`${outside}${path}`);
    return identityOf(file) === `${dev}:${ino}`;
  });
}

const WALKS: Readonly<Record<string, Walk>> = {
  "open in root": (root, path, scratch) => {
    using directory = Fd.open(root, O_PATH | O_DIRECTORY);
    using file = openInRoot(directory, path, { flags: O_PATH });
    hold(!isOutside(file, scratch), "a path in a root leads to nothing outside");
  },
  "open beneath": (root, path, scratch) => {
    using directory = Fd.open(root, O_PATH | O_DIRECTORY);
    using file = openBeneath(directory, path, { flags: O_PATH });
    hold(!isOutside(file, scratch), "a path beneath a directory leads to nothing outside");
  },
  "resolve inside": (root, path) => {
    const inside = resolveInside(root, path);
    hold(inside.startsWith("/") && !inside.split("/").includes(".."), "a resolved path has no way up");
  },
  guarded: (root, path, scratch) => {
    const place = guardPath(`${root}/${path}`, { volumes: [root], others: [] });
    if (!place.base.startsWith(root)) return;
    using file = openGuarded(place);
    hold(!isOutside(file, scratch), "a part of a volume is no file outside");
  },
  "make guarded": (root, path) => {
    const place = guardPath(`${root}/${path}`, { volumes: [root], others: [] });
    if (!place.base.startsWith(root)) return;
    makeGuarded(place).directory[Symbol.dispose]();
  },
  users: (root, _path) => {
    const names = readPasswd(root).map(({ name }) => name);
    hold(!names.includes("witness"), "the users of an image are its own");
  },
  remove: (root, path) => {
    const name = path.split("/").find((part) => part !== "" && part !== ".." && part !== ".") ?? "a";
    using directory = Fd.open(root, O_PATH | O_DIRECTORY);
    removeTree(directory, name);
  },
  "remove path": (root) => removePath(root),
};

export const paths = defineTarget({
  name: "paths",
  rounds: 300,
  make: (random) => ({ tree: anyTree(random), path: anyPath(random), walk: random.pick(Object.keys(WALKS)) }),
  run({ tree, path, walk }: { tree: Entry[]; path: string; walk: string }, scratch) {
    const root = `${scratch.inside}/root`;
    plantTree(root, tree, scratch);
    WALKS[walk]!(root, path, scratch);
  },
});
