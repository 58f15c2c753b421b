/**
 * Loop devices: files as block devices.
 *
 * @see https://man7.org/linux/man-pages/man4/loop.4.html
 * @module
 */
import { isErrno } from "./errno.ts";
import { Fd, O_RDONLY, O_RDWR } from "./fd.ts";
import { ioctl } from "./ioctl.ts";
import { LITTLE_ENDIAN } from "./libc.ts";

const LOOP_CTL_GET_FREE = { name: "LOOP_CTL_GET_FREE", number: 0x4c82 };
const LOOP_CLR_FD = { name: "LOOP_CLR_FD", number: 0x4c01 };
const LOOP_SET_CAPACITY = { name: "LOOP_SET_CAPACITY", number: 0x4c07 };
const LOOP_CONFIGURE = { name: "LOOP_CONFIGURE", number: 0x4c0a };

/** `struct loop_config`: u32 fd, u32 block size, `struct loop_info64` (232 bytes), u64 reserved[8]. */
const CONFIG_SIZE = 304;
const OFFSET = { fd: 0, blockSize: 4, offset: 8 + 24, sizeLimit: 8 + 32, flags: 8 + 52, fileName: 8 + 56 } as const;
const FILE_NAME_SIZE = 64;

const LO_FLAGS = { READ_ONLY: 1, PARTSCAN: 8, DIRECT_IO: 16 } as const;

/** What of a file a loop device shows, and how. */
export interface LoopOptions {
  readOnly?: boolean;
  /** Bytes of the file to leave out in front. */
  offset?: number;
  /** Bytes to show; to the end of the file if absent. */
  sizeLimit?: number;
  /** Bytes of a sector: 512 if absent. */
  blockSize?: number;
  /** Let `/dev/loop0p1`… appear. */
  partitions?: boolean;
  /** Past the page cache, which the file system on the loop device fills already. */
  directIo?: boolean;
}

/** An attached loop device. Disposing it detaches the file; if it is in use, the kernel does so at its last close. */
export interface Loop extends Disposable {
  /** `/dev/loop0` */
  readonly device: string;
}

/**
 * Attaches a file to a free loop device.
 *
 * @throws {ErrnoError}
 */
export function attachLoop(file: string, options: LoopOptions = {}): Loop {
  using control = Fd.open("/dev/loop-control", O_RDWR);
  using backing = Fd.open(file, options.readOnly ? O_RDONLY : O_RDWR);
  const config = encodeLoopConfig(backing.number, { ...options, file });
  for (;;) {
    const device = `/dev/loop${ioctl(control, LOOP_CTL_GET_FREE)}`;
    using undo = new DisposableStack();
    const fd = undo.use(Fd.open(device, options.readOnly ? O_RDONLY : O_RDWR));
    try {
      ioctl(fd, LOOP_CONFIGURE, { argument: config, detail: `${file} on ${device}` });
    } catch (error) {
      // Somebody else took it since we asked.
      if (isErrno(error, "EBUSY")) continue;
      throw error;
    }
    return { device, [Symbol.dispose]: () => detachLoop(device) };
  }
}

/** The argument of LOOP_CONFIGURE. */
export function encodeLoopConfig(fd: number, options: LoopOptions & { file: string }): Uint8Array<ArrayBuffer> {
  const { file, offset = 0, sizeLimit = 0, blockSize = 0, readOnly, partitions, directIo } = options;
  const bytes = new Uint8Array(CONFIG_SIZE);
  const view = new DataView(bytes.buffer);
  const flags = (readOnly ? LO_FLAGS.READ_ONLY : 0) | (partitions ? LO_FLAGS.PARTSCAN : 0) |
    (directIo ? LO_FLAGS.DIRECT_IO : 0);
  view.setUint32(OFFSET.fd, fd, LITTLE_ENDIAN);
  view.setUint32(OFFSET.blockSize, blockSize, LITTLE_ENDIAN);
  view.setBigUint64(OFFSET.offset, BigInt(offset), LITTLE_ENDIAN);
  view.setBigUint64(OFFSET.sizeLimit, BigInt(sizeLimit), LITTLE_ENDIAN);
  view.setUint32(OFFSET.flags, flags, LITTLE_ENDIAN);
  // Only for people who list loop devices, so it may be cut.
  new TextEncoder().encodeInto(file, bytes.subarray(OFFSET.fileName, OFFSET.fileName + FILE_NAME_SIZE - 1));
  return bytes;
}

/** Detaches whatever file a loop device holds; none is no failure. */
export function detachLoop(device: string): void {
  using fd = Fd.open(device, O_RDONLY);
  try {
    ioctl(fd, LOOP_CLR_FD, { detail: device });
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
  }
}

/** Lets a loop device see that its file has grown or shrunk. */
export function refreshLoop(device: string): void {
  using fd = Fd.open(device, O_RDONLY);
  ioctl(fd, LOOP_SET_CAPACITY, { detail: device });
}
