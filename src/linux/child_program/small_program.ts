/**
 * The executable that a child becomes which is apart: two pages, one of machine code and one of steps that map the memory
 * where its other steps are. Its image, command line, environment and memory hold nothing of ours.
 *
 * @see https://man7.org/linux/man-pages/man5/elf.5.html
 * @module
 */
import { type Fd, memfd } from "../io/fd.ts";
import { LITTLE_ENDIAN } from "../ffi/libc.ts";
import { BOOT_ADDRESS, HEADER, machineCode } from "./machine_code.ts";
import { type ApartMemory, setWord } from "./memory.ts";
import { layOutSteps, type Slot, type Step, systemCall } from "./call.ts";

/** As large as pages are on any kernel: each part has its own rights. */
const PAGE = 64 << 10;
/** Of what maps the memory. */
const BOOT_BYTES = 4096;
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
const MAP_FIXED = 0x10;
const MAP_FIXED_NOREPLACE = 0x100000;
const MADV_DONTFORK = 10;

/** @param program Address of the header of the program that it goes on with. @returns The file, to be executed. */
export function smallProgram(memory: ApartMemory, program: number): Fd {
  const code = machineCode(Deno.build.arch);
  const head = new Uint8Array(CODE_OFFSET + code.length);
  writeHeaders(new DataView(head.buffer));
  head.set(code, CODE_OFFSET);
  const boot = new Uint8Array(BOOT_BYTES);
  writeBoot(new DataView(boot.buffer), { steps: mapSteps(memory), program });
  using undo = new DisposableStack();
  const file = undo.use(memfd("init", head));
  // The rest of the first page is a hole, which takes neither time nor memory.
  file.writeAllAt(boot, PAGE);
  undo.move();
  return file;
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

function writeBoot(view: DataView<ArrayBuffer>, { steps, program }: { steps: readonly Step[]; program: number }): void {
  let used: number = HEADER.size;
  const allocate = (size: number) => {
    const offset = view.byteOffset + used;
    used += size;
    return { address: BOOT_ADDRESS + used - size, view: new DataView(view.buffer, offset, size) };
  };
  const list = layOutSteps({ allocate }, steps);
  setWord(view, HEADER.mapped, program);
  setWord(view, HEADER.child, list.address);
  setWord(view, HEADER.child + 8, list.end);
}

/** The first page apart from the others, as it goes another way: see {@linkcode partSteps}. */
function mapSteps({ fileNumber, address, size, toldSize }: ApartMemory): Step[] {
  const flags = MAP_SHARED | MAP_FIXED_NOREPLACE;
  const map = (at: number, length: number) =>
    systemCall("mmap", [address + at, length, PROT_READ_WRITE, flags, fileNumber, at]);
  return [
    map(0, toldSize),
    map(toldSize, size - toldSize),
    systemCall("madvise", [address, toldSize, MADV_DONTFORK]),
  ];
}

/** Sizes known only once all steps are written down: how much of the memory they take, and the rest of it. */
export interface Parting {
  readonly used: Slot;
  readonly rest: Slot;
  readonly restSize: Slot;
}

/** The child takes its steps as they are for its own: neither we nor a stage-2 child of its share memory with it any more. */
export function partSteps({ fileNumber, address, toldSize }: ApartMemory, { used, rest, restSize }: Parting): Step[] {
  const flags = MAP_PRIVATE | MAP_FIXED;
  const label = "part memory";
  return [
    systemCall("mmap", [address + toldSize, used, PROT_READ_WRITE, flags, fileNumber, toldSize], { label }),
    systemCall("munmap", [rest, restSize], { label }),
    systemCall("close", [fileNumber]),
  ];
}
