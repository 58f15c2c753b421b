import assert from "node:assert/strict";
import { errorCode } from "../../base/error.ts";
import { isErrno } from "../ffi/errno.ts";
import { type GuardedPath, makeDirectoryIn, makeGuarded, openGuarded, splitLast } from "./guarded_path.ts";
import { Fd, O_DIRECTORY, O_PATH, pathOf } from "../io/fd.ts";

interface Area {
  base: string;
  outside: string;
}

function withArea(use: (area: Area) => void): void {
  const root = Deno.makeTempDirSync({ prefix: "kata-guarded-" });
  const area = { base: `${root}/base`, outside: `${root}/outside` };
  Deno.mkdirSync(`${area.base}/real/inner`, { recursive: true });
  Deno.mkdirSync(area.outside);
  try {
    use(area);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

function inode(path: string): number | null {
  return Deno.statSync(path).ino;
}

function isDenied(error: unknown): boolean {
  return errorCode(error) === "PERMISSION_DENIED";
}

Deno.test("openGuarded() follows links of a part as far as they stay in the base", () => {
  withArea(({ base, outside }) => {
    const links = {
      in: "real",
      deep: "real/../real/inner",
      absolute: outside,
      up: "../outside",
      root: base,
      self: "self",
    };
    for (const [name, target] of Object.entries(links)) Deno.symlinkSync(target, `${base}/${name}`);
    Deno.symlinkSync("/proc/self/root", `${base}/magic`);
    const open = (part: string) => openGuarded({ base, links: "none", part });
    for (const [part, real] of [["in", "real"], ["in/inner", "real/inner"], ["deep", "real/inner"]]) {
      using found = open(part!);
      assert.equal(inode(pathOf(found)), inode(`${base}/${real}`));
    }
    for (const part of ["absolute", "up", "root", "self", "magic", "in/../up", "real/../.."]) {
      assert.throws(() => open(part), isDenied, part);
    }
    assert.throws(() => open("in/none"), (error) => isErrno(error, "ENOENT"));
  });
});

Deno.test("openGuarded() follows no link to a base that may have none, and never a magic one", () => {
  withArea(({ base }) => {
    Deno.symlinkSync("real", `${base}/link`);
    openGuarded({ base: `${base}/link/inner`, links: "plain" })[Symbol.dispose]();
    assert.throws(() => openGuarded({ base: `${base}/link/inner`, links: "none" }), isDenied);
    assert.throws(() => openGuarded({ base: "/proc/self/root/etc", links: "plain" }), isDenied);
  });
});

Deno.test("makeGuarded() makes what is missing, root's on the way to the base and settled in the part", () => {
  withArea(({ base, outside }) => {
    const settle = (made: Fd) => Deno.chmodSync(pathOf(made), 0o2710);
    const make = (path: Omit<GuardedPath, "links">) => {
      const { directory, isMade } = makeGuarded({ links: "none", ...path }, settle);
      directory[Symbol.dispose]();
      return isMade ? "made" : "found";
    };
    const mode = (path: string) => Deno.statSync(path).mode! & 0o7777;
    assert.equal(make({ base: `${base}/new/v`, part: "a/b" }), "made");
    assert.deepEqual([`new`, `new/v`, `new/v/a`, `new/v/a/b`].map((path) => mode(`${base}/${path}`)), [
      0o755,
      0o755,
      0o2710,
      0o2710,
    ]);
    assert.equal(make({ base, part: "real/inner" }), "found");
    assert.notEqual(mode(`${base}/real/inner`), 0o2710);
    Deno.symlinkSync("real", `${base}/in`);
    assert.equal(make({ base, part: "in/made" }), "made");
    assert.equal(mode(`${base}/real/made`), 0o2710);
    Deno.symlinkSync("missing", `${base}/dangling`);
    Deno.symlinkSync(outside, `${base}/out`);
    for (const part of ["dangling", "dangling/a", "out", "out/a"]) assert.throws(() => make({ base, part }), isDenied);
    assert.deepEqual([...Deno.readDirSync(outside)], []);
  });
});

Deno.test("makeGuarded() leaves nothing of a directory that cannot be settled", () => {
  withArea(({ base }) => {
    const before = [...Deno.readDirSync(base)].length;
    const fail = () => {
      throw new Error("no such group");
    };
    for (const part of [undefined, "new"]) {
      const path = part === undefined ? { base: `${base}/new` } : { base, part };
      assert.throws(() => makeGuarded({ links: "none", ...path }, fail), /no such group/);
      assert.equal([...Deno.readDirSync(base)].length, before);
    }
  });
});

Deno.test("makeDirectoryIn() counts as made only what nobody can have used", () => {
  withArea(({ base }) => {
    using parent = Fd.open(base, O_PATH | O_DIRECTORY);
    const made = (name: string) => {
      const { directory, isMade } = makeDirectoryIn(parent, name);
      directory[Symbol.dispose]();
      return isMade;
    };
    assert.deepEqual([made("real"), made("new"), made("new")], [false, true, false]);
  });
});

Deno.test("splitLast() takes names of the part, and then of the base", () => {
  const path = { base: "/a/b", links: "none", part: "c/d" } as const;
  const [one, d] = splitLast(path);
  const [two, c] = splitLast(one);
  const [three, b] = splitLast(two);
  assert.deepEqual([d, c, b], ["d", "c", "b"]);
  assert.deepEqual([one, two, three], [
    { base: "/a/b", links: "none", part: "c" },
    { base: "/a/b", links: "none" },
    { base: "/a", links: "none" },
  ]);
});
