/** Cases of who may do what, and what is kept of it: modes, ids, groups, attributes, lists, capabilities, times. See `program.ts`. @module */
import { as, AT_FDCWD, c, type Cases, close, errorOf, O, O_TMPFILE, open, write } from "./calls.ts";

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}

function setAttribute(path: string, name: string, value: Uint8Array<ArrayBuffer>): string {
  return errorOf(() => c("setxattr", path, name, value, value.length, 0));
}

function attribute(path: string, name: string): string {
  const value = new Uint8Array(8192);
  let length = 0;
  const done = errorOf(() => length = c("getxattr", path, name, value, value.length));
  return done === "ok" ? new TextDecoder().decode(value.slice(0, length)) : done;
}

/** A list of access: version 2, then tag, rights and id of each entry. */
function accessList(entries: readonly [tag: number, rights: number, id?: number][]): Uint8Array<ArrayBuffer> {
  const words = entries.flatMap(([tag, rights, id = 0xffffffff]) => [tag | (rights << 16), id]);
  return new Uint8Array(new Uint32Array([2, ...words]).buffer);
}

const TAG = { owner: 1, user: 2, group: 4, mask: 16, other: 32 } as const;
/** For user 1500, besides the owner. */
const FOR_1500 = accessList([[TAG.owner, 7], [TAG.user, 7, 1500], [TAG.group, 0], [TAG.mask, 7], [TAG.other, 0]]);

function mode(path: string): string {
  return (Deno.lstatSync(path).mode! & 0o7777).toString(8);
}

function idsOf(path: string): string {
  const { uid, gid } = Deno.lstatSync(path);
  return `${uid}:${gid}`;
}

/** Version 2 of file capabilities: effective, CAP_NET_BIND_SERVICE. */
const BIND_SERVICE = new Uint8Array(new Uint32Array([0x02000001, 1 << 10, 0, 0, 0]).buffer);

export const RIGHTS: Cases = {
  "modes of all twelve bits, and umask": (at) => {
    close(open(`${at}/f`));
    Deno.chmodSync(`${at}/f`, 0o7751);
    const before = c("umask", 0o027);
    close(open(`${at}/masked`, O.CREAT | O.RDWR, 0o666));
    c("umask", before);
    return [mode(`${at}/f`), mode(`${at}/masked`)];
  },
  "owners: given, of whom creates, of a setgid directory": (at) => {
    close(open(`${at}/f`));
    Deno.chownSync(`${at}/f`, 1000, 2000);
    Deno.mkdirSync(`${at}/d`);
    Deno.chownSync(`${at}/d`, 0, 3000);
    Deno.chmodSync(`${at}/d`, 0o2777);
    as({ uid: 1000 }, () => close(open(`${at}/d/by`)));
    as({ uid: 1000 }, () => c("mkdir", `${at}/d/e`, 0o755));
    return [idsOf(`${at}/f`), idsOf(`${at}/d/by`), mode(`${at}/d/e`)];
  },
  "others are kept out": (at) => {
    close(open(`${at}/f`, O.CREAT | O.RDWR, 0o600));
    Deno.mkdirSync(`${at}/d`, { mode: 0o700 });
    return as({ uid: 1000 }, () => [
      errorOf(() => open(`${at}/f`, O.RDONLY)),
      errorOf(() => c("mkdir", `${at}/d/e`, 0o755)),
      errorOf(() => c("chmod", `${at}/f`, 0o777)),
      errorOf(() => c("chown", `${at}/f`, 1000, 1000)),
    ]);
  },
  "the sticky bit": (at) => {
    Deno.mkdirSync(`${at}/t`);
    Deno.chmodSync(`${at}/t`, 0o1777);
    as({ uid: 1000 }, () => close(open(`${at}/t/f`)));
    return as({ uid: 1001 }, () => errorOf(() => c("unlink", `${at}/t/f`)));
  },
  "a supplementary group: create, mkdir, link, rename, unlink, nodes": (at) => {
    Deno.mkdirSync(`${at}/d`);
    Deno.chownSync(`${at}/d`, 0, 1234);
    Deno.chmodSync(`${at}/d`, 0o2775);
    const d = `${at}/d`;
    return as({ uid: 1500, groups: [1234] }, () => [
      errorOf(() => close(open(`${d}/f`))),
      errorOf(() => c("mkdir", `${d}/e`, 0o755)),
      errorOf(() => c("symlink", "f", `${d}/s`)),
      errorOf(() => c("link", `${d}/f`, `${d}/h`)),
      errorOf(() => c("rename", `${d}/f`, `${d}/g`)),
      errorOf(() => c("mkfifo", `${d}/p`, 0o600)),
      errorOf(() => Deno.listen({ transport: "unix", path: `${d}/u` }).close()),
      errorOf(() => c("unlink", `${d}/h`)),
    ]);
  },
  "a supplementary group: O_TMPFILE": (at) => {
    Deno.chownSync(at, 0, 1234);
    Deno.chmodSync(at, 0o2775);
    return as({ uid: 1500, groups: [1234] }, () => errorOf(() => close(open(at, O_TMPFILE | O.RDWR))));
  },
  "attributes: small, of 3,000 bytes, listed, removed": (at) => {
    close(open(`${at}/f`));
    const done = [setAttribute(`${at}/f`, "user.a", bytesOf("value")), attribute(`${at}/f`, "user.a")];
    const large = setAttribute(`${at}/f`, "user.b", bytesOf("x".repeat(3000)));
    const list = new Uint8Array(1000);
    const names = new TextDecoder().decode(list.slice(0, c("listxattr", `${at}/f`, list, list.length))).split("\0");
    const removed = errorOf(() => c("removexattr", `${at}/f`, "user.a"));
    return [...done, large, names.includes("user.b"), removed, attribute(`${at}/f`, "user.a")];
  },
  "attributes that are the administrator's": (at) => {
    close(open(`${at}/f`));
    return setAttribute(`${at}/f`, "trusted.x", bytesOf("v"));
  },
  "a list of access lets one user in": (at) => {
    close(open(`${at}/f`, O.CREAT | O.RDWR, 0o600));
    const set = setAttribute(`${at}/f`, "system.posix_acl_access", FOR_1500);
    const by = (uid: number) => as({ uid }, () => errorOf(() => close(open(`${at}/f`, O.RDWR))));
    return [set, by(1500), by(1501), mode(`${at}/f`)];
  },
  "a list of access is inherited": (at) => {
    Deno.mkdirSync(`${at}/d`);
    const set = setAttribute(`${at}/d`, "system.posix_acl_default", FOR_1500);
    close(open(`${at}/d/f`, O.CREAT | O.RDWR, 0o666));
    const by = (uid: number) => as({ uid }, () => errorOf(() => close(open(`${at}/d/f`, O.RDWR))));
    Deno.chmodSync(`${at}/d`, 0o755);
    return [set, by(1500), by(1501), mode(`${at}/d/f`)];
  },
  "capabilities of a file, for user 1000": (at) => {
    const program = `${at}/busybox`;
    Deno.copyFileSync("/bin/busybox", program);
    Deno.chmodSync(program, 0o755);
    const set = setAttribute(program, "security.capability", BIND_SERVICE);
    const args = ["grep", "CapEff", "/proc/self/status"];
    const { stdout } = new Deno.Command(program, { args, uid: 1000, gid: 1000 }).outputSync();
    const words = new TextDecoder().decode(stdout).trim();
    write(open(program, O.WRONLY), "x"); // takes them away
    return [set, words, attribute(program, "security.capability")];
  },
  "set-user-ID programs, for user 1000": (at) => {
    const program = `${at}/cat`;
    Deno.copyFileSync("/usr/bin/cat", program); // busybox gives such rights up
    Deno.chmodSync(program, 0o4755);
    const { stdout } = new Deno.Command(program, { args: ["/proc/self/status"], uid: 1000, gid: 1000 }).outputSync();
    return /^Uid:.*/m.exec(new TextDecoder().decode(stdout))?.[0];
  },
  "nodes: made and opened": (at) => [
    errorOf(() => c("mknod", `${at}/null`, 0o20666, (1 << 8) | 3)),
    errorOf(() => close(open(`${at}/null`, O.RDWR))),
  ],
  "times: set to the nanosecond, of the birth": (at) => {
    close(open(`${at}/f`));
    const times = new Uint8Array(new BigInt64Array([1n, 5n, 1000000000n, 123456789n]).buffer);
    c("utimensat", AT_FDCWD, `${at}/f`, times, 0);
    const words = new Uint32Array(64);
    c("statx", AT_FDCWD, `${at}/f`, 0, 0xfff, new Uint8Array(words.buffer));
    const hasBirth = (words[0]! & 0x800) !== 0;
    return [words[0x70 / 4], words[0x78 / 4], hasBirth];
  },
  "flags of files": (at) => {
    const fd = open(`${at}/f`);
    const done = errorOf(() => c("ioctl", fd, 0x80086601, new Uint8Array(8)));
    close(fd);
    return done;
  },
  "room of the file system": (at) => {
    const bytes = new BigUint64Array(16);
    c("statfs", at, new Uint8Array(bytes.buffer));
    return [bytes[2]! > 0n, bytes[5]! > 0n];
  },
};
