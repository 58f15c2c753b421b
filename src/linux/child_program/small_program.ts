/**
 * The executable that a child becomes which is apart: two pages, one of machine code and one of steps that map the memory
 * where its other steps are. Its image, command line, environment and memory hold nothing of ours.
 *
 * All children become the same one, made at the first and sealed: a container that gets hold of it can change nothing.
 *
 * @see https://man7.org/linux/man-pages/man5/elf.5.html
 * @module
 */
import { F_ADD_SEALS, F_SETFD, type Fd, FD_CLOEXEC, SEAL, sealedMemfd } from "../io/fd.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { BOOT_ADDRESS, HEADER, machineCode } from "./machine_code.ts";
import { PAGE, type Piece, REST_ADDRESS, setWord, TOLD_ADDRESS } from "./memory.ts";
import { layOutSteps, Slot, type Step, type StepList, systemCall } from "./call.ts";
import { resetSignals } from "./reset_signals.ts";

/** Of what maps the memory. */
const BOOT_BYTES = 8192;
const ELF_HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
/** Behind the headers, in the page that they are in. */
const CODE_OFFSET = 0x100;
const CODE_PAGE = BOOT_ADDRESS - PAGE;

const EM = { x86_64: 62, aarch64: 183 } as const;
const ET_EXEC = 2;
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF = { exec: 1, write: 2, read: 4 } as const;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_NORESERVE = 0x4000;
const MAP_FIXED_NOREPLACE = 0x100000;
const MADV_DONTFORK = 10;

/** Results of steps that are told together with a failure: `explain` of the step that failed may read them. */
export const MOST_RESULTS = 64;
/** Part of the header, and the results behind it, that a child tells of when it fails. */
export const REPORT = { offset: HEADER.failed, size: HEADER.size - HEADER.failed + 8 * MOST_RESULTS } as const;

/** Numbers of the two descriptors that the child has for itself. */
export interface OwnNumbers {
  /** Of the memory, which it closes once that is mapped. */
  memory: number;
  /** Of the pipe over which it tells a failure. */
  report: number;
}

export interface SmallProgram {
  /** To be executed. It belongs to all children. */
  image: Fd;
  /** Steps for a child that fails. */
  failing: Pick<StepList, "address" | "end">;
}

/** By its numbers, of which there are others than the usual ones only where hundreds of descriptors are open. */
let made: { numbers: OwnNumbers; program: SmallProgram } | undefined;

/** @returns The program, which goes on with that whose header is at {@linkcode REST_ADDRESS}. */
export function smallProgram(numbers: OwnNumbers): SmallProgram {
  if (made?.numbers.memory === numbers.memory && made.numbers.report === numbers.report) return made.program;
  made?.program.image[Symbol.dispose]();
  made = undefined;
  made = { numbers, program: makeProgram(numbers) };
  return made.program;
}

function makeProgram(numbers: OwnNumbers): SmallProgram {
  const code = machineCode(Deno.build.arch);
  const head = new Uint8Array(CODE_OFFSET + code.length);
  writeHeaders(new DataView(head.buffer));
  head.set(code, CODE_OFFSET);
  const boot = new Uint8Array(BOOT_BYTES);
  const failing = writeBoot(new DataView(boot.buffer), numbers);
  // The rest of the first page is a hole, which takes neither time nor memory.
  const image = sealedMemfd("init", [{ offset: 0, content: head }, { offset: PAGE, content: boot }]);
  const { memory, report } = numbers;
  if (image.number !== memory && image.number !== report) return { image, failing };
  using _ = image;
  return { image: image.dup(Math.max(memory, report) + 1), failing };
}

function writeHeaders(view: DataView<ArrayBuffer>): void {
  [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1].forEach((byte, index) => view.setUint8(index, byte)); // ELF, 64 bits, little-endian
  const segments = [
    { type: PT_LOAD, flags: PF.read | PF.exec, offset: 0, address: CODE_PAGE, size: PAGE },
    { type: PT_LOAD, flags: PF.read | PF.write, offset: PAGE, address: BOOT_ADDRESS, size: BOOT_BYTES },
    { type: PT_GNU_STACK, flags: PF.read | PF.write, offset: 0, address: 0, size: 0 },
  ];
  view.setUint16(16, ET_EXEC, LITTLE_ENDIAN);
  view.setUint16(18, EM[Deno.build.arch], LITTLE_ENDIAN);
  view.setUint32(20, 1, LITTLE_ENDIAN); // e_version
  setWord(view, 24, CODE_PAGE + CODE_OFFSET); // e_entry
  setWord(view, 32, ELF_HEADER_BYTES); // e_phoff
  view.setUint16(52, ELF_HEADER_BYTES, LITTLE_ENDIAN);
  view.setUint16(54, SEGMENT_BYTES, LITTLE_ENDIAN);
  view.setUint16(56, segments.length, LITTLE_ENDIAN);
  segments.forEach(({ type, flags, offset, address, size }, index) => {
    const at = ELF_HEADER_BYTES + SEGMENT_BYTES * index;
    view.setUint32(at, type, LITTLE_ENDIAN);
    view.setUint32(at + 4, flags, LITTLE_ENDIAN);
    [offset, address, address, size, size, PAGE].forEach((word, field) => setWord(view, at + 8 + 8 * field, word));
  });
}

/** @returns The steps for a child that fails. */
function writeBoot(view: DataView<ArrayBuffer>, numbers: OwnNumbers): SmallProgram["failing"] {
  let used: number = HEADER.size;
  const allocate = (size: number) => {
    const offset = view.byteOffset + used;
    used += size;
    return { address: BOOT_ADDRESS + used - size, view: new DataView(view.buffer, offset, size) };
  };
  const list = layOutSteps({ allocate }, bootSteps(numbers, allocate));
  setWord(view, HEADER.mapped, REST_ADDRESS);
  setWord(view, HEADER.child, list.address);
  setWord(view, HEADER.child + 8, list.end);
  const { report } = numbers;
  const tell = systemCall("write", [report, REST_ADDRESS + REPORT.offset, REPORT.size], { ignore: "all" });
  return layOutSteps({ allocate }, [tell]);
}

/**
 * Maps the memory, of which we share but the first page: what the child writes into the others is its own from then on,
 * and nobody else's.
 */
function bootSteps({ memory, report }: OwnNumbers, allocate: (size: number) => Piece): Step[] {
  const restSize = new Slot({ address: TOLD_ADDRESS, view: new DataView(new ArrayBuffer(8)) });
  const map = (at: number, { size, flags }: { size: number | Slot; flags: number }) =>
    systemCall("mmap", [at, size, PROT_READ_WRITE, flags | MAP_FIXED_NOREPLACE, memory, at - TOLD_ADDRESS]);
  return [
    map(TOLD_ADDRESS, { size: PAGE, flags: MAP_SHARED }),
    map(REST_ADDRESS, { size: restSize, flags: MAP_PRIVATE | MAP_NORESERVE }),
    systemCall("madvise", [TOLD_ADDRESS, PAGE, MADV_DONTFORK]),
    // Who may trace and follow /proc/PID/map_files gets at the file by the private part: to read, and no more.
    systemCall("fcntl", [memory, F_ADD_SEALS, SEAL.seal | SEAL.shrink | SEAL.grow | SEAL.futureWrite]),
    systemCall("close", [memory]),
    systemCall("fcntl", [report, F_SETFD, FD_CLOEXEC]),
    ...resetSignals({ allocate }),
  ];
}
