/** Cases of a file's content. See `program.ts`. @module */
import { as, c, type Cases, close, errorOf, mapShared, O, O_DIRECT, open, read, write } from "./calls.ts";

const SEEK = { set: 0, data: 3, hole: 4 } as const;
const FALLOC = { keepSize: 1, punchHole: 2, zeroRange: 16 } as const;
const LOCK = { shared: 1, exclusive: 2, now: 4 } as const;
const PAGE = 4096;

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}

/** A `struct flock` for the whole file. @param type 0 read, 1 write, 2 unlock. */
function wholeFile(type: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint16Array([type, 0, ...Array(14).fill(0)]).buffer);
}

const F_OFD_SETLK = 37;
const F_SETLEASE = 1024;

export const DATA: Cases = {
  "append by two descriptors": (at) => {
    const [a, b] = [open(`${at}/f`, O.CREAT | O.RDWR | O.APPEND), open(`${at}/f`, O.RDWR | O.APPEND)];
    for (const [index, fd] of [a, b, a, b].entries()) write(fd, `${index}`);
    for (const fd of [a, b]) close(fd);
    return Deno.readTextFileSync(`${at}/f`);
  },
  "a shared mapping of a file that is open to append": (at) => {
    const fd = open(`${at}/f`, O.CREAT | O.RDWR | O.APPEND);
    c("ftruncate", fd, 1024);
    const map = mapShared(fd, 1024);
    map.view.set(bytesOf("mapped"));
    map.sync();
    map.unmap();
    close(fd);
    return [Deno.statSync(`${at}/f`).size, Deno.readTextFileSync(`${at}/f`).slice(0, 6)];
  },
  "a shared mapping and read() see one content": (at) => {
    const fd = open(`${at}/f`);
    c("ftruncate", fd, PAGE);
    const map = mapShared(fd, PAGE);
    map.view.set(bytesOf("by memory"));
    const seen = read(fd, 9);
    c("pwrite", fd, bytesOf("by write"), 8, 100);
    const text = new TextDecoder().decode(map.view.slice(100, 108));
    map.unmap();
    close(fd);
    return [seen, text];
  },
  "a shared mapping of a file without a name": (at) => {
    const fd = open(`${at}/f`);
    Deno.removeSync(`${at}/f`);
    c("ftruncate", fd, PAGE);
    const map = mapShared(fd, PAGE);
    map.view.set(bytesOf("kept"));
    map.sync();
    map.unmap();
    const text = read(fd, 4);
    close(fd);
    return text;
  },
  "holes: found, punched, allocated": (at) => {
    const fd = open(`${at}/f`);
    c("pwrite", fd, bytesOf("x"), 1, 1 << 20);
    const hole = c("lseek", fd, 0, SEEK.hole);
    const data = errorOf(() => c("lseek", fd, 0, SEEK.data));
    const punched = errorOf(() => c("fallocate", fd, FALLOC.keepSize | FALLOC.punchHole, 1 << 20, PAGE));
    const kept = errorOf(() => c("fallocate", fd, FALLOC.keepSize, 2 << 20, PAGE));
    const zeroed = errorOf(() => c("fallocate", fd, FALLOC.zeroRange, 0, PAGE));
    const sparse = Deno.statSync(`${at}/f`).blocks! * 512 < 1 << 20;
    close(fd);
    return [hole, data, punched, kept, zeroed, sparse];
  },
  "a file of 5 GB, sparse": (at) => {
    const fd = open(`${at}/f`);
    c("ftruncate", fd, 5e9);
    c("pwrite", fd, bytesOf("end"), 3, 5e9 - 3);
    const size = c("lseek", fd, 0, 2);
    close(fd);
    return size;
  },
  "O_DIRECT": (at) => {
    const fd = open(`${at}/f`, O.CREAT | O.RDWR | O_DIRECT);
    const memory = new Uint8Array(3 * PAGE);
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory));
    const aligned = (BigInt(address) + 4095n) & ~4095n;
    memory.fill(7);
    const done = [c("pwrite", fd, aligned, PAGE, 0), c("pread", fd, aligned, PAGE, 0)];
    close(fd);
    return done;
  },
  "flock: a second one waits": (at) => {
    const [a, b] = [open(`${at}/f`), open(`${at}/f`)];
    const first = errorOf(() => c("flock", a, LOCK.exclusive | LOCK.now));
    const second = errorOf(() => c("flock", b, LOCK.exclusive | LOCK.now));
    for (const fd of [a, b]) close(fd);
    return [first, second];
  },
  "record locks: a second one waits": (at) => {
    const [a, b] = [open(`${at}/f`), open(`${at}/f`)];
    const lock = (fd: number, type: number) => errorOf(() => c("fcntl", fd, F_OFD_SETLK, wholeFile(type)));
    const done = [lock(a, 1), lock(b, 1), lock(a, 2), lock(b, 0), lock(a, 0)];
    for (const fd of [a, b]) close(fd);
    return done;
  },
  "leases": (at) => {
    close(open(`${at}/f`));
    const fd = open(`${at}/f`, O.RDONLY);
    const done = errorOf(() => c("fcntl", fd, F_SETLEASE, 0));
    close(fd);
    return done;
  },
  "copies by the kernel": (at) => {
    const [from, to] = [open(`${at}/a`), open(`${at}/b`)];
    write(from, "copied");
    c("lseek", from, 0, SEEK.set);
    const copied = c("copy_file_range", from, 0, to, 0, 6, 0);
    c("lseek", from, 0, SEEK.set);
    const sent = c("sendfile", to, from, 0, 6);
    for (const fd of [from, to]) close(fd);
    return [copied, sent, Deno.readTextFileSync(`${at}/b`)];
  },
  "fsync of a file and of a directory": (at) => {
    const [file, directory] = [open(`${at}/f`), c("open", at, O.RDONLY)];
    const done = [file, directory].map((fd) => errorOf(() => c("fsync", fd)));
    for (const fd of [file, directory]) close(fd);
    return [...done, errorOf(() => c("syncfs", c("open", at, O.RDONLY)))];
  },
  "a program that runs is not written": (at) => {
    Deno.copyFileSync("/bin/busybox", `${at}/sleep`);
    Deno.chmodSync(`${at}/sleep`, 0o755);
    const child = new Deno.Command(`${at}/sleep`, { args: ["1000"] }).spawn();
    const done = errorOf(() => open(`${at}/sleep`, O.WRONLY));
    child.kill("SIGKILL");
    return done;
  },
  "sockets": (at) => {
    using _listener = Deno.listen({ transport: "unix", path: `${at}/s` });
    const fd = c("socket", 1, 1, 0);
    const address = new Uint8Array([1, 0, ...bytesOf(`${at}/s`), 0]);
    const done = errorOf(() => c("connect", fd, address, address.length));
    close(fd);
    return [done, Deno.statSync(`${at}/s`).isSocket];
  },
  "fifos": (at) => {
    c("mkfifo", `${at}/p`, 0o600);
    const fd = open(`${at}/p`, O.RDWR);
    write(fd, "through");
    const text = read(fd);
    close(fd);
    return [text, Deno.statSync(`${at}/p`).isFifo];
  },
  "200 open files": (at) => {
    const fds = Array.from({ length: 200 }, (_, number) => open(`${at}/${number}`));
    fds.forEach((fd, number) => write(fd, `${number}`));
    fds.forEach(close);
    return Deno.readTextFileSync(`${at}/199`);
  },
  "a write takes the rights of a program away": (at) => {
    const fd = open(`${at}/f`);
    c("fchmod", fd, 0o6777);
    as({ uid: 1000 }, () => write(open(`${at}/f`, O.WRONLY), "x"));
    close(fd);
    return (Deno.statSync(`${at}/f`).mode! & 0o7777).toString(8);
  },
};
