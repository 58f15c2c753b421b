/**
 * What a link's driver tells about itself.
 *
 * @see https://man7.org/linux/man-pages/man7/netdevice.7.html
 * @module
 */
import { isErrno } from "./errno.ts";
import { Fd } from "./fd.ts";
import { ioctl } from "./ioctl.ts";
import { addressOf, bind, check, cstring, LITTLE_ENDIAN } from "./libc.ts";

const libc = bind({
  socket: { parameters: ["i32", /* domain */ "i32", /* type */ "i32" /* protocol */], result: "i32" },
});

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCETHTOOL = { name: "SIOCETHTOOL", number: 0x8946 };
const ETHTOOL_GDRVINFO = 3;

/** `struct ethtool_drvinfo`: u32 command, then texts of 32 bytes: driver, version, firmware, bus, and what we skip. */
const INFO_SIZE = 196;
const TEXT_SIZE = 32;
const OFFSET = { driver: 4, bus: 4 + 3 * TEXT_SIZE } as const;
/** `struct ifreq`: name, then here a pointer. */
const IFREQ_SIZE = 40;
const IFNAMSIZ = 16;

/** Who drives a link. */
export interface LinkDriver {
  /** `virtio_net`, `veth`, `mlx5_core`… */
  driver: string;
  /** Where the device is: `0000:00:03.0` for PCI; empty for links of software. */
  bus: string;
}

/**
 * Asks about a link of the network namespace that this thread is in now.
 *
 * @returns undefined if the link's driver does not answer.
 * @throws {ErrnoError} ENODEV: no such link.
 */
export function linkDriver(name: string): LinkDriver | undefined {
  using socket = new Fd(check("socket", () => libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0)));
  const info = new Uint8Array(INFO_SIZE);
  new DataView(info.buffer).setUint32(0, ETHTOOL_GDRVINFO, LITTLE_ENDIAN);
  const request = new Uint8Array(IFREQ_SIZE);
  request.set(cstring(name).subarray(0, IFNAMSIZ));
  new DataView(request.buffer).setBigUint64(IFNAMSIZ, addressOf(info), LITTLE_ENDIAN);
  try {
    ioctl(socket, SIOCETHTOOL, { argument: request, detail: name });
  } catch (error) {
    if (isErrno(error, "EOPNOTSUPP")) return undefined;
    throw error;
  }
  return { driver: textAt(info, OFFSET.driver), bus: textAt(info, OFFSET.bus) };
}

function textAt(bytes: Uint8Array, offset: number): string {
  const text = bytes.subarray(offset, offset + TEXT_SIZE);
  const end = text.indexOf(0);
  return new TextDecoder().decode(end === -1 ? text : text.subarray(0, end));
}
