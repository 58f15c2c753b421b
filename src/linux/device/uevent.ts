/**
 * Notices of the kernel about devices that come, change and go.
 *
 * @see https://man7.org/linux/man-pages/man7/netlink.7.html (NETLINK_KOBJECT_UEVENT)
 * @module
 */
import { isErrno } from "../ffi/errno.ts";
import type { Fd } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";
import { NETLINK, openNetlink } from "../net/netlink_socket.ts";
import { readable, type WaitOptions } from "../io/poll.ts";

const libc = bind({
  recvfrom: {
    parameters: ["i32", /* fd */ "buffer", "usize", /* length */ "i32", /* flags */ "buffer", "buffer" /* lengths */],
    result: "isize",
  },
  setsockopt: {
    parameters: ["i32", /* fd */ "i32", /* level */ "i32", /* name */ "buffer", "u32" /* length */],
    result: "i32",
  },
});

/** One event of a device. */
export interface Uevent {
  /** `add`, `remove`, `change`, `bind`, `unbind`, `move`, `online`, `offline`. */
  action: string;
  /** Below `/sys`: `/devices/pci0000:00/0000:00:02.0/virtio1/block/vda`. */
  devPath: string;
  /** `block`, `net`, `virtio-ports`…; empty if the event does not say. */
  subsystem: string;
  /** Name of the node below `/dev`, for devices that have one. */
  devName: string | undefined;
  /** All of the event: `MAJOR`, `DEVTYPE`, `INTERFACE`, `SEQNUM`… */
  fields: ReadonlyMap<string, string>;
}

/** Reads one message of the kernel: `add@/devices/…`, then `KEY=value` texts. @returns undefined if it is none. */
export function decodeUevent(bytes: Uint8Array): Uevent | undefined {
  const [header = "", ...pairs] = new TextDecoder().decode(bytes).split("\0");
  const [, action, devPath] = /^(\w+)@(\/.*)$/s.exec(header) ?? [];
  if (action === undefined || devPath === undefined) return undefined;
  const fields = new Map(
    pairs.filter((pair) => pair.includes("=")).map((pair) => {
      const equals = pair.indexOf("=");
      return [pair.slice(0, equals), pair.slice(equals + 1)] as const;
    }),
  );
  return { action, devPath, subsystem: fields.get("SUBSYSTEM") ?? "", devName: fields.get("DEVNAME"), fields };
}

const KERNEL_GROUP = 1;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
/** A hotplug of many devices comes in one burst; what does not fit is lost. */
const RECEIVE_BUFFER = 4 << 20;
const MSG_DONTWAIT = 0x40;
/** UEVENT_BUFFER_SIZE of the kernel is 2 KiB, and its message has a path besides. */
const MESSAGE_SIZE = 16 * 1024;

/**
 * Hears of everything from the moment it is made, so that nothing is missed between a look at sysfs and a wait. End
 * the loop over its events, by their signal if need be, before disposing it.
 */
export class UeventSocket implements Disposable {
  readonly #fd: Fd;
  readonly #buffer = new Uint8Array(MESSAGE_SIZE);

  constructor() {
    this.#fd = openNetlink(NETLINK.KOBJECT_UEVENT, KERNEL_GROUP);
    const size = Int32Array.of(RECEIVE_BUFFER);
    try {
      check("setsockopt", () => libc.setsockopt(this.#fd.number, SOL_SOCKET, SO_RCVBUFFORCE, size, size.byteLength));
    } catch (error) {
      // Without CAP_NET_ADMIN the usual size has to do.
      if (!isErrno(error, "EPERM")) throw error;
    }
  }

  /** Events in order, from the first not yet taken. @throws The signal's reason when it fires. */
  async *events(options: WaitOptions = {}): AsyncGenerator<Uevent, never> {
    for (;;) {
      const event = this.#receive();
      if (event !== undefined) yield event;
      else await readable(this.#fd, options);
    }
  }

  /** @returns undefined if nothing is waiting. */
  #receive(): Uevent | undefined {
    for (;;) {
      const sender = new Uint32Array(3);
      const senderSize = Uint32Array.of(sender.byteLength);
      let length: number;
      try {
        length = check(
          "recvfrom",
          () => libc.recvfrom(this.#fd.number, this.#buffer, MESSAGE_SIZE, MSG_DONTWAIT, sender, senderSize),
        );
      } catch (error) {
        if (isErrno(error, "EAGAIN")) return undefined;
        // Some notices were lost; a waiter for a device looks at sysfs as well.
        if (isErrno(error, "ENOBUFS")) continue;
        throw error;
      }
      // struct sockaddr_nl: the port id of the kernel is 0; others may be a program's forgery.
      const event = sender[1] === 0 ? decodeUevent(this.#buffer.subarray(0, length)) : undefined;
      if (event !== undefined) return event;
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
