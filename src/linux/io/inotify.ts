/**
 * Changes of files and directories.
 *
 * @see https://man7.org/linux/man-pages/man7/inotify.7.html
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import { Fd, O_CLOEXEC, O_NONBLOCK } from "./fd.ts";
import { bind, check, cstring, LITTLE_ENDIAN } from "../ffi/libc.ts";
import { readable, type WaitOptions } from "./poll.ts";

const libc = bind({
  inotify_init1: { parameters: ["i32" /* flags */], result: "i32" },
  inotify_add_watch: { parameters: ["i32", /* fd */ "buffer", /* path */ "u32" /* mask */], result: "i32" },
  inotify_rm_watch: { parameters: ["i32", /* fd */ "i32" /* watch */], result: "i32" },
});

const KINDS = {
  access: 0x1,
  modify: 0x2,
  attrib: 0x4,
  closeWrite: 0x8,
  closeNowrite: 0x10,
  open: 0x20,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  deleteSelf: 0x400,
  moveSelf: 0x800,
  unmount: 0x2000,
  /** Events were lost; it has the watch -1. */
  overflow: 0x4000,
  /** The watch has ended. */
  ignored: 0x8000,
} as const;

const IN_ISDIR = 0x40000000;

/** `IN_*` in our spelling. */
export type InotifyKind = keyof typeof KINDS;

/** One change. */
export interface InotifyEvent {
  /** As {@linkcode Inotify.watch} returned it. */
  watch: number;
  kind: InotifyKind;
  /** The entry of the watched directory; undefined for the watched file itself. */
  name: string | undefined;
  isDirectory: boolean;
  /** Joins the two halves of a rename; 0 for other kinds. */
  cookie: number;
}

/** `struct inotify_event`: i32 watch, u32 mask, u32 cookie, u32 length of the name that follows. */
const HEADER_SIZE = 16;

/** Reads what one read(2) gave. @throws {RangeError} A length points outside. */
export function decodeInotify(bytes: Uint8Array): InotifyEvent[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const names = Object.keys(KINDS) as InotifyKind[];
  const events: InotifyEvent[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + HEADER_SIZE > bytes.length) throw new RangeError(`Cannot decode inotify event at byte ${at}: cut off`);
    const mask = view.getUint32(at + 4, LITTLE_ENDIAN);
    const end = at + HEADER_SIZE + view.getUint32(at + 12, LITTLE_ENDIAN);
    if (end > bytes.length) throw new RangeError(`Cannot decode inotify event at byte ${at}: cut off`);
    const name = new TextDecoder().decode(bytes.subarray(at + HEADER_SIZE, end)).split("\0")[0];
    const kind = names.find((candidate) => mask & KINDS[candidate]);
    if (kind !== undefined) {
      const watch = view.getInt32(at, LITTLE_ENDIAN);
      const cookie = view.getUint32(at + 8, LITTLE_ENDIAN);
      events.push({ watch, kind, name: name || undefined, isDirectory: (mask & IN_ISDIR) !== 0, cookie });
    }
    at = end;
  }
  return events;
}

/** A set of watches. End the loop over its events, by their signal if need be, before disposing it. */
export class Inotify implements Disposable {
  readonly #fd = new Fd(check("inotify_init1", () => libc.inotify_init1(O_CLOEXEC | O_NONBLOCK)));
  /** Room for many events, and at least for one with the longest name. */
  readonly #buffer = new Uint8Array(4096);

  /** Watches a file or directory, not what lies deeper. @returns The number that its events carry. */
  watch(path: string, kinds: readonly InotifyKind[]): number {
    const cpath = cstring(path);
    const mask = kinds.reduce((sum, kind) => sum | KINDS[kind], 0);
    return check("inotify_add_watch", () => libc.inotify_add_watch(this.#fd.number, cpath, mask), path);
  }

  /** Ends a watch, whose last event is `ignored`. A watch that has ended already is no failure. */
  unwatch(watch: number): void {
    try {
      check("inotify_rm_watch", () => libc.inotify_rm_watch(this.#fd.number, watch));
    } catch (error) {
      if (!isErrno(error, "EINVAL")) throw error;
    }
  }

  /** Events in order, from the first not yet taken. @throws The signal's reason when it fires. */
  async *events(options: WaitOptions = {}): AsyncGenerator<InotifyEvent, never> {
    for (;;) {
      try {
        yield* decodeInotify(this.#buffer.subarray(0, this.#fd.read(this.#buffer)));
      } catch (error) {
        if (!isErrno(error, "EAGAIN")) throw error;
        await readable(this.#fd, options);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
