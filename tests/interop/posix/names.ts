/** Cases of names: create, rename, link, list. See `program.ts`. @module */
import { AT_FDCWD, c, type Cases, close, errorOf, O, O_DIRECTORY, O_TMPFILE, open, read, write } from "./calls.ts";

const RENAME = { noReplace: 1, exchange: 2, whiteout: 4 } as const;

function touch(path: string, text = ""): void {
  Deno.writeTextFileSync(path, text);
}

function rename(from: string, to: string, flags: number): string {
  return errorOf(() => c("renameat2", AT_FDCWD, from, AT_FDCWD, to, flags));
}

export const NAMES: Cases = {
  "create, exclusive": (at) => {
    close(open(`${at}/f`, O.CREAT | O.EXCL | O.RDWR));
    return errorOf(() => open(`${at}/f`, O.CREAT | O.EXCL | O.RDWR));
  },
  "mkdir, rmdir of one that is not empty": (at) => {
    Deno.mkdirSync(`${at}/d/e`, { recursive: true });
    return [errorOf(() => c("mkdir", `${at}/d`, 0o755)), errorOf(() => c("rmdir", `${at}/d`))];
  },
  "names of 255 and 256 bytes, and of no text": (at) => {
    touch(`${at}/${"a".repeat(255)}`);
    const raw = new Uint8Array([...new TextEncoder().encode(`${at}/`), 0xff, 0xfe, 0]);
    close(c("open", raw, O.CREAT | O.RDWR, 0o644));
    return [errorOf(() => touch(`${at}/${"a".repeat(256)}`)), errorOf(() => c("unlink", raw))];
  },
  "rename: over a file, a directory, a full directory": (at) => {
    for (const name of ["a", "b"]) touch(`${at}/${name}`, name);
    for (const name of ["d", "e", "full/x"]) Deno.mkdirSync(`${at}/${name}`, { recursive: true });
    const done = ["b", "e", "full"].map((to, index) => rename(`${at}/${["a", "d", "e"][index]}`, `${at}/${to}`, 0));
    return [...done, Deno.readTextFileSync(`${at}/b`)];
  },
  "rename: no replacement, exchange, whiteout": (at) => {
    for (const name of ["a", "b", "w"]) touch(`${at}/${name}`, name);
    const done = [rename(`${at}/a`, `${at}/b`, RENAME.noReplace), rename(`${at}/a`, `${at}/b`, RENAME.exchange)];
    return [...done, Deno.readTextFileSync(`${at}/b`), rename(`${at}/w`, `${at}/v`, RENAME.whiteout)];
  },
  "hard links": (at) => {
    touch(`${at}/a`, "text");
    Deno.linkSync(`${at}/a`, `${at}/b`);
    const [a, b] = [Deno.statSync(`${at}/a`), Deno.statSync(`${at}/b`)];
    Deno.removeSync(`${at}/a`);
    return [a.ino === b.ino, a.nlink, Deno.statSync(`${at}/b`).nlink];
  },
  "symbolic links: of 4095 bytes, to themselves, hard links of them": (at) => {
    const target = "t".repeat(4095);
    Deno.symlinkSync(target, `${at}/long`);
    Deno.symlinkSync("self", `${at}/self`);
    const linked = errorOf(() => c("linkat", AT_FDCWD, `${at}/self`, AT_FDCWD, `${at}/hard`, 0));
    return [Deno.readLinkSync(`${at}/long`) === target, errorOf(() => open(`${at}/self`)), linked];
  },
  "unlink of what is open": (at) => {
    const fd = open(`${at}/f`);
    write(fd, "kept");
    Deno.removeSync(`${at}/f`);
    c("lseek", fd, 0, 0);
    const text = read(fd);
    const { nlink } = Deno.statSync(`/proc/self/fd/${fd}`);
    close(fd);
    return [text, nlink];
  },
  "a directory that is removed while it is open": (at) => {
    Deno.mkdirSync(`${at}/d`);
    const fd = c("open", `${at}/d`, O_DIRECTORY);
    Deno.removeSync(`${at}/d`);
    const made = errorOf(() => c("openat", fd, "x", O.CREAT | O.RDWR, 0o644));
    close(fd);
    return made;
  },
  "O_TMPFILE, given a name later": (at) => {
    const fd = open(at, O_TMPFILE | O.RDWR);
    write(fd, "late");
    c("linkat", AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, `${at}/named`, 0x400);
    close(fd);
    return Deno.readTextFileSync(`${at}/named`);
  },
  "500 names, listed while they are removed": (at) => {
    for (let number = 0; number < 500; number++) close(open(`${at}/${number}`));
    let seen = 0;
    for (const { name } of Deno.readDirSync(at)) {
      seen += 1;
      Deno.removeSync(`${at}/${name}`);
    }
    return [seen, [...Deno.readDirSync(at)].length];
  },
  "types in a listing": (at) => {
    touch(`${at}/a`);
    Deno.mkdirSync(`${at}/b`);
    Deno.symlinkSync("a", `${at}/c`);
    const kinds = [...Deno.readDirSync(at)].sort((x, y) => x.name < y.name ? -1 : 1);
    return kinds.map((entry) => (["isFile", "isDirectory", "isSymlink"] as const).find((kind) => entry[kind]));
  },
  "a path of 100 levels": (at) => {
    const path = `${at}${"/deeper".repeat(100)}`;
    Deno.mkdirSync(path, { recursive: true });
    touch(`${path}/f`, "deep");
    return Deno.readTextFileSync(`${path}/f`);
  },
  "an inotify watch sees what is done here": (at) => {
    const fd = c("inotify_init1", 0o4000);
    c("inotify_add_watch", fd, at, 0x100 | 0x200);
    touch(`${at}/new`);
    Deno.removeSync(`${at}/new`);
    const bytes = c("read", fd, new Uint8Array(4096), 4096);
    close(fd);
    return bytes > 0;
  },
  "handles of files": (at) => {
    touch(`${at}/f`);
    const handle = new Uint8Array(136);
    handle[0] = 128;
    return errorOf(() => c("name_to_handle_at", AT_FDCWD, `${at}/f`, handle, new Uint8Array(8), 0));
  },
};
