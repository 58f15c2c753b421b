import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { errorCode } from "../../base/error.ts";
import { CopyFileRequestSchema } from "../../proto/agent_pb.ts";
import { copyInto } from "./copy_file.ts";
import { parseCopy } from "./copy_request.ts";

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const { uid, gid } = Deno.statSync("/proc/self");

interface Area {
  shared: string;
  outside: string;
  copy(fields: MessageInitShape<typeof CopyFileRequestSchema>): void;
}

function withArea(use: (area: Area) => void): void {
  const root = Deno.makeTempDirSync({ prefix: "kata-copy-" });
  const [shared, outside] = [`${root}/shared`, `${root}/outside`];
  Deno.mkdirSync(shared);
  Deno.mkdirSync(outside);
  const copy: Area["copy"] = (fields) => {
    const fileSize = (fields.offset ?? 0n) + BigInt(fields.data?.length ?? 0);
    const defaults = { uid: uid!, gid: gid!, fileMode: S_IFREG | 0o644, fileSize };
    copyInto(shared, parseCopy(create(CopyFileRequestSchema, Object.assign(defaults, fields)), shared));
  };
  try {
    use({ shared, outside, copy });
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function modeOf(path: string): number {
  return Deno.lstatSync(path).mode! & 0o7777;
}

Deno.test("copyInto() writes a file with its mode and makes its parents with dir_mode (B10)", () => {
  withArea(({ shared, copy }) => {
    const fields = { fileMode: S_IFREG | 0o640, dirMode: S_IFDIR | 0o750, data: bytes("hello") };
    copy({ path: `${shared}/passthrough/v/f.txt`, ...fields });
    assert.equal(Deno.readTextFileSync(`${shared}/passthrough/v/f.txt`), "hello");
    assert.equal(modeOf(`${shared}/passthrough/v/f.txt`), 0o640);
    assert.equal(modeOf(`${shared}/passthrough/v`), 0o750);
    assert.deepEqual([...Deno.readDirSync(`${shared}/passthrough/v`)].map(({ name }) => name), ["f.txt"]);
  });
});

Deno.test("copyInto() shows a file only when its last piece is there", () => {
  withArea(({ shared, copy }) => {
    const path = `${shared}/big`;
    Deno.writeTextFileSync(path, "old");
    copy({ path, data: bytes("ab"), fileSize: 5n });
    copy({ path, data: bytes("cd"), fileSize: 5n, offset: 2n });
    assert.equal(Deno.readTextFileSync(path), "old");
    copy({ path, data: bytes("e"), fileSize: 5n, offset: 4n });
    assert.equal(Deno.readTextFileSync(path), "abcde");
  });
});

Deno.test("copyInto() takes an empty file and a name of 255 bytes", () => {
  withArea(({ shared, copy }) => {
    const path = `${shared}/${"n".repeat(255)}`;
    copy({ path });
    assert.equal(Deno.statSync(path).size, 0);
  });
});

Deno.test("copyInto() makes directories and links, whose data is their target, over what is in the way (B9)", () => {
  withArea(({ shared, copy }) => {
    Deno.mkdirSync(`${shared}/v/link/full`, { recursive: true });
    copy({ path: `${shared}/v/dir`, fileMode: S_IFDIR | 0o1777 });
    copy({ path: `${shared}/v/link`, fileMode: S_IFLNK | 0o777, data: bytes("..2026_data") });
    assert.equal(modeOf(`${shared}/v/dir`), 0o1777);
    assert.equal(Deno.readLinkSync(`${shared}/v/link`), "..2026_data");
    copy({ path: `${shared}/v/link`, fileMode: S_IFLNK | 0o777, data: bytes("..2027_data/f") });
    assert.equal(Deno.readLinkSync(`${shared}/v/link`), "..2027_data/f");
  });
});

Deno.test("copyInto() keeps a directory that exists, with its content", () => {
  withArea(({ shared, copy }) => {
    Deno.mkdirSync(`${shared}/v`);
    Deno.writeTextFileSync(`${shared}/v/f`, "kept");
    copy({ path: `${shared}/v`, fileMode: S_IFDIR | 0o700 });
    assert.equal(Deno.readTextFileSync(`${shared}/v/f`), "kept");
  });
});

Deno.test.each([
  { name: "a path elsewhere", path: "/etc/passwd", code: "PERMISSION_DENIED" },
  { name: "the shared directory itself", path: "SHARED", code: "PERMISSION_DENIED" },
  { name: "a sibling with the same beginning", path: "SHAREDx/f", code: "PERMISSION_DENIED" },
  { name: "a climbing path", path: "SHARED/v/../../outside/f", code: "PERMISSION_DENIED" },
  { name: "a NUL", path: "SHARED/v/f\0g", code: "PERMISSION_DENIED" },
  { name: "a device", path: "SHARED/v/f", fileMode: 0o020644, code: "INVALID_ARGUMENT" },
  { name: "a link in the top level", path: "SHARED/l", fileMode: S_IFLNK, data: "t", code: "INVALID_ARGUMENT" },
  {
    name: "an absolute link among root file systems",
    path: "SHARED/passthrough/c1",
    fileMode: S_IFLNK,
    data: "/etc",
    code: "INVALID_ARGUMENT",
  },
  {
    name: "a climbing link among root file systems",
    path: "SHARED/passthrough/c1",
    fileMode: S_IFLNK,
    data: "a/../../..",
    code: "INVALID_ARGUMENT",
  },
  { name: "a link without target", path: "SHARED/v/l", fileMode: S_IFLNK, data: "", code: "INVALID_ARGUMENT" },
  { name: "bytes past the end", path: "SHARED/v/f", data: "abc", fileSize: 2n, code: "INVALID_ARGUMENT" },
  { name: "a negative offset", path: "SHARED/v/f", data: "abc", offset: -1n, code: "INVALID_ARGUMENT" },
])("parseCopy() refuses $name and nothing is written (B8)", ({ path, code, name: _, data, ...fields }) => {
  withArea(({ shared, outside, copy }) => {
    const request = { ...fields, path: path.replace("SHARED", shared), data: bytes(data ?? "x") };
    assert.throws(() => copy(request), (error) => errorCode(error) === code);
    assert.deepEqual([...Deno.readDirSync(shared), ...Deno.readDirSync(outside)], []);
  });
});

Deno.test("wire W6: copyInto() makes a link of a volume wherever it leads, and goes through none", () => {
  withArea(({ shared, outside, copy }) => {
    for (const target of ["/etc/ssl", "../../outside", outside]) {
      copy({ path: `${shared}/v/link`, fileMode: S_IFLNK | 0o777, data: bytes(target) });
      assert.equal(Deno.readLinkSync(`${shared}/v/link`), target);
      const through = () => copy({ path: `${shared}/v/link/f`, data: bytes("x") });
      assert.throws(through, (error: Error) => errorCode(error) === "PERMISSION_DENIED");
    }
    assert.deepEqual([...Deno.readDirSync(outside)], []);
  });
});

Deno.test("copyInto() never goes through a link, wherever it leads (B8)", () => {
  withArea(({ shared, outside, copy }) => {
    Deno.mkdirSync(`${shared}/v/real`, { recursive: true });
    Deno.symlinkSync(outside, `${shared}/v/absolute`);
    Deno.symlinkSync("../../outside", `${shared}/v/climbing`);
    Deno.symlinkSync("real", `${shared}/v/inside`);
    for (const link of ["absolute", "climbing", "inside"]) {
      assert.throws(
        () => copy({ path: `${shared}/v/${link}/f`, data: bytes("x") }),
        (error) => errorCode(error) === "PERMISSION_DENIED",
        link,
      );
    }
    assert.deepEqual([...Deno.readDirSync(outside), ...Deno.readDirSync(`${shared}/v/real`)], []);
  });
});

Deno.test("copyInto() replaces a link at its own name instead of writing through it (B8)", () => {
  withArea(({ shared, outside, copy }) => {
    Deno.writeTextFileSync(`${outside}/f`, "safe");
    Deno.mkdirSync(`${shared}/v`);
    Deno.symlinkSync(`${outside}/f`, `${shared}/v/f`);
    Deno.symlinkSync(outside, `${shared}/v/d`);
    copy({ path: `${shared}/v/f`, data: bytes("new") });
    copy({ path: `${shared}/v/d`, fileMode: S_IFDIR | 0o755 });
    assert.equal(Deno.readTextFileSync(`${outside}/f`), "safe");
    assert.equal(Deno.readTextFileSync(`${shared}/v/f`), "new");
    assert.ok(Deno.lstatSync(`${shared}/v/d`).isDirectory);
  });
});

/** The name under which pieces gather, which everybody in the directory can see. */
function temporaryIn(directory: string): string {
  return [...Deno.readDirSync(directory)].find(({ name }) => name.endsWith(".kata-copy"))!.name;
}

Deno.test("F17: copyInto() goes on in no file that has another name, nor in one that is somebody else's", () => {
  withArea(({ shared, outside, copy }) => {
    const path = `${shared}/v/f`;
    const begin = () => {
      copy({ path, data: bytes("ab"), fileSize: 4n });
      return `${shared}/v/${temporaryIn(`${shared}/v`)}`;
    };
    Deno.writeTextFileSync(`${outside}/f`, "untouched");
    Deno.chmodSync(`${outside}/f`, 0o600);
    const plants = [(at: string) => Deno.linkSync(`${outside}/f`, at), (at: string) => Deno.symlinkSync(outside, at)];
    for (const plant of plants) {
      const at = begin();
      Deno.removeSync(at);
      plant(at);
      assert.throws(
        () => copy({ path, data: bytes("cd"), fileSize: 4n, offset: 2n }),
        (error) => errorCode(error) === "PERMISSION_DENIED",
      );
      Deno.removeSync(at);
    }
    assert.equal(Deno.readTextFileSync(`${outside}/f`), "untouched");
    assert.equal(modeOf(`${outside}/f`), 0o600);
  });
});
