/** Meetings of two processes by a file: locks, sockets, fifos, content. See `program.ts`. @module */
import { c, close, errorOf, mapShared, O, O_NONBLOCK, open } from "./calls.ts";

const LOCK_EX_NB = 6;
const F_SETLK = 6;
/** A `struct flock`: a write lock of the whole file. */
function writeLock(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint16Array([1, 0, ...Array(14).fill(0)]).buffer);
}

/** Takes what can be taken in a directory, until disposed. */
export function hold(at: string): Disposable {
  const flocked = open(`${at}/flock`);
  c("flock", flocked, LOCK_EX_NB);
  const locked = open(`${at}/record`);
  c("fcntl", locked, F_SETLK, writeLock());
  const listener = Deno.listen({ transport: "unix", path: `${at}/socket` });
  Deno.chmodSync(`${at}/socket`, 0o777);
  c("mkfifo", `${at}/fifo`, 0o666);
  const fifo = open(`${at}/fifo`, O.RDONLY | O_NONBLOCK);
  const mapped = open(`${at}/mapped`);
  c("ftruncate", mapped, 4096);
  const map = mapShared(mapped, 4096);
  map.view.set(new TextEncoder().encode("by memory"));
  Deno.writeTextFileSync(`${at}/written`, "by write");
  return {
    [Symbol.dispose]() {
      listener.close();
      for (const fd of [flocked, locked, fifo, mapped]) close(fd);
    },
  };
}

/** Tells what somebody else finds where {@linkcode hold} holds. */
export function meet(at: string): Record<string, unknown> {
  const [flocked, locked] = [open(`${at}/flock`, O.RDWR), open(`${at}/record`, O.RDWR)];
  const address = new Uint8Array([1, 0, ...new TextEncoder().encode(`${at}/socket`), 0]);
  return {
    "flock held by another": errorOf(() => c("flock", flocked, LOCK_EX_NB)),
    "record lock held by another": errorOf(() => c("fcntl", locked, F_SETLK, writeLock())),
    "socket on which another listens": errorOf(() => c("connect", c("socket", 1, 1, 0), address, address.length)),
    "fifo that another reads": errorOf(() => open(`${at}/fifo`, O.WRONLY | O_NONBLOCK)),
    "file that another has written": Deno.readTextFileSync(`${at}/written`),
    "file in which another has a shared mapping": Deno.readTextFileSync(`${at}/mapped`).slice(0, 9),
  };
}
