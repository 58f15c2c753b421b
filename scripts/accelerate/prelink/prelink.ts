/**
 * Gives a position-independent program a fixed place (prelinking).
 *
 * At each of its starts the dynamic linker writes 159,000 addresses into Deno's data: 2.7 ms, 660 page faults, and 2.6 MB
 * that the process then shares with no other. In a file that has the right addresses already, these pages stay the file's.
 *
 * The price is that the program itself lies at one place from then on, while libraries, heap and stack still lie elsewhere
 * at each start. So the place is drawn when the program is installed, among more than the kernel would draw from: no two
 * machines have the same.
 *
 * Usage: prelink.ts PROGRAM OUTPUT
 *
 * @see elf(5), https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html
 * @module
 */

const LITTLE_ENDIAN = true;

/** Offsets in the file's header. */
const HEADER = {
  type: 16,
  machine: 18,
  entry: 24,
  segments: 32,
  sections: 40,
  segmentCount: 56,
  sectionCount: 60,
  size: 64,
} as const;
const ET_EXEC = 2;
const ET_DYN = 3;

const SEGMENT = { type: 0, offset: 8, address: 16, physicalAddress: 24, fileSize: 32, size: 56 } as const;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_GNU_STACK = 0x6474e551;

const SECTION = { flags: 8, address: 16, size: 64 } as const;
const SHF_ALLOC = 2;

const DYNAMIC = { tag: 0, value: 8, size: 16 } as const;
const DT = {
  NULL: 0,
  PLTRELSZ: 2,
  SYMTAB: 6,
  RELA: 7,
  RELASZ: 8,
  REL: 17,
  JMPREL: 23,
  RELR: 36,
  VERSYM: 0x6ffffff0,
  RELACOUNT: 0x6ffffff9,
  FLAGS_1: 0x6ffffffb,
} as const;
const DF_1_PIE = 0x08000000;
/** PLTGOT, HASH, STRTAB, SYMTAB, RELA, INIT, FINI, JMPREL, the three arrays, GNU_HASH, VERSYM, VERDEF, VERNEED. */
const ADDRESS_TAGS = new Set([3, 4, 5, 6, 7, 12, 13, 23, 25, 26, 32, 0x6ffffef5, 0x6ffffff0, 0x6ffffffc, 0x6ffffffe]);

const RELOCATION = { place: 0, type: 8, addend: 16, size: 24 } as const;

const SYMBOL = { info: 4, section: 6, value: 8, size: 24 } as const;
const STT_TLS = 6;
/** From here on a section's number says what else the symbol is; 0 says that it is undefined. */
const SHN_LORESERVE = 0xff00;

interface Machine {
  /** A word that is the program's own address and the addend. */
  relative: number;
  /** As `relative`, the address of a function that gives the word. */
  indirect: number;
  /** A word that holds an address even before it gets its function's. */
  jumpSlot: number;
  /**
   * Ranges that may be there besides: words that are a symbol's, or thread-local storage's. The last number belongs to
   * the range.
   */
  others: readonly (readonly [number, number])[];
}

const MACHINES: Readonly<Record<number, Machine>> = {
  /** x86-64 */
  62: { relative: 8, indirect: 37, jumpSlot: 7, others: [[1, 1], [5, 6], [16, 18], [36, 36]] },
  /** AArch64 */
  183: { relative: 1027, indirect: 1032, jumpSlot: 1026, others: [[257, 257], [1024, 1025], [1028, 1031]] },
};

/**
 * Moves a program to an address, in its file.
 *
 * @param file The whole of it. It is changed, and of no use after an error.
 * @param base A multiple of the page size.
 * @throws {SyntaxError} It is no position-independent program, or holds something that is not known here.
 */
export function prelink(file: Uint8Array<ArrayBuffer>, base: bigint): void {
  const program = new Program(file);
  const dynamic = program.dynamicEntries();
  relocate(program, dynamic, base);
  moveSymbols(program, dynamic, base);
  for (const [tag, at] of dynamic) if (ADDRESS_TAGS.has(tag)) program.move(at, base);
  const flags = dynamic.get(DT.FLAGS_1);
  if (flags !== undefined) program.setU64(flags, program.u64(flags) & ~BigInt(DF_1_PIE));
  moveHeaders(program, base);
}

/** Applies what needs only the base, which the linker has put first, and leaves it out of the table. */
function relocate(program: Program, dynamic: ReadonlyMap<number, number>, base: bigint): void {
  if (dynamic.has(DT.RELR) || dynamic.has(DT.REL)) throw new SyntaxError("Cannot prelink: it has DT_RELR or DT_REL");
  const { relative, indirect, jumpSlot, others } = program.machine;
  const [table, size, count] = [DT.RELA, DT.RELASZ, DT.RELACOUNT].map((tag) => entry(dynamic, tag)) as Three;
  const start = program.offsetOf(program.u64(table));
  const end = start + Number(program.u64(size));
  const rest = start + RELOCATION.size * Number(program.u64(count));
  for (let at = start; at < rest; at += RELOCATION.size) {
    if (program.u32(at + RELOCATION.type) !== relative) throw new SyntaxError("Cannot prelink: DT_RELACOUNT is wrong");
    const place = program.offsetOf(program.u64(at + RELOCATION.place));
    program.setU64(place, program.u64(at + RELOCATION.addend) + base);
  }
  const jumps = program.offsetOf(program.u64(entry(dynamic, DT.JMPREL)));
  const ranges = [[rest, end], [jumps, jumps + Number(program.u64(entry(dynamic, DT.PLTRELSZ)))]] as const;
  for (const [first, last] of ranges) {
    for (let at = first; at < last; at += RELOCATION.size) {
      const type = program.u32(at + RELOCATION.type);
      if (type === jumpSlot) program.move(program.offsetOf(program.u64(at + RELOCATION.place)), base);
      else if (type === relative || type === indirect) program.move(at + RELOCATION.addend, base);
      else if (!others.some(([low, high]) => low <= type && type <= high)) {
        throw new SyntaxError(`Cannot prelink: relocation ${type} is unknown`);
      }
      program.move(at + RELOCATION.place, base);
    }
  }
  program.setU64(table, program.u64(table) + BigInt(rest - start));
  program.setU64(size, BigInt(end - rest));
  program.setU64(count, 0n);
}

type Three = [number, number, number];

function entry(dynamic: ReadonlyMap<number, number>, tag: number): number {
  const at = dynamic.get(tag);
  if (at === undefined) throw new SyntaxError(`Cannot prelink: it has no dynamic entry ${tag}`);
  return at;
}

/** Nothing tells how many symbols there are: their table goes on until another one begins. */
function moveSymbols(program: Program, dynamic: ReadonlyMap<number, number>, base: bigint): void {
  const table = program.u64(entry(dynamic, DT.SYMTAB));
  const later = [...dynamic].filter(([tag]) => ADDRESS_TAGS.has(tag)).map(([, at]) => program.u64(at)).filter((
    address,
  ) => address > table);
  const start = program.offsetOf(table);
  const end = program.offsetOf(later.reduce((least, address) => address < least ? address : least));
  for (let at = start; at + SYMBOL.size <= end; at += SYMBOL.size) {
    const section = program.u16(at + SYMBOL.section);
    const isThreadLocal = (program.u16(at + SYMBOL.info) & 0xf) === STT_TLS;
    if (section !== 0 && section < SHN_LORESERVE && !isThreadLocal) program.move(at + SYMBOL.value, base);
  }
}

function moveHeaders(program: Program, base: bigint): void {
  for (const at of program.segmentHeaders) {
    if (program.u32(at + SEGMENT.type) === PT_GNU_STACK) continue;
    program.move(at + SEGMENT.address, base);
    program.move(at + SEGMENT.physicalAddress, base);
  }
  for (const at of program.sectionHeaders) {
    if (program.u32(at + SECTION.flags) & SHF_ALLOC) program.move(at + SECTION.address, base);
  }
  program.move(HEADER.entry, base);
  program.setType(ET_EXEC);
}

/** A file's bytes, by their offset. */
class Program {
  readonly #view: DataView<ArrayBuffer>;
  /** Segments that are loaded from the file, as they were. */
  readonly #loaded: readonly { address: bigint; offset: bigint; end: bigint }[];
  readonly machine: Machine;
  readonly segmentHeaders: readonly number[];
  readonly sectionHeaders: readonly number[];

  constructor(file: Uint8Array<ArrayBuffer>) {
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const isElf64 = file.byteLength >= HEADER.size && this.u32(0) === 0x464c457f && this.u16(4) === 0x0102;
    if (!isElf64 || this.u16(HEADER.type) !== ET_DYN) {
      throw new SyntaxError("Cannot prelink: it is no position-independent program of 64 bits");
    }
    const machine = MACHINES[this.u16(HEADER.machine)];
    if (machine === undefined) throw new SyntaxError(`Cannot prelink: machine ${this.u16(HEADER.machine)} is unknown`);
    this.machine = machine;
    this.segmentHeaders = this.#headers(HEADER.segments, HEADER.segmentCount, SEGMENT.size);
    this.sectionHeaders = this.#headers(HEADER.sections, HEADER.sectionCount, SECTION.size);
    this.#loaded = this.segmentHeaders.filter((at) => this.u32(at + SEGMENT.type) === PT_LOAD).map((at) => {
      const address = this.u64(at + SEGMENT.address);
      return { address, offset: this.u64(at + SEGMENT.offset), end: address + this.u64(at + SEGMENT.fileSize) };
    });
  }

  #headers(start: number, count: number, size: number): number[] {
    return Array.from({ length: this.u16(count) }, (_, index) => Number(this.u64(start)) + size * index);
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, LITTLE_ENDIAN);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, LITTLE_ENDIAN);
  }

  u64(offset: number): bigint {
    return this.#view.getBigUint64(offset, LITTLE_ENDIAN);
  }

  /** Modulo 2 ** 64. */
  setU64(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, value, LITTLE_ENDIAN);
  }

  move(offset: number, base: bigint): void {
    this.setU64(offset, this.u64(offset) + base);
  }

  setType(type: number): void {
    this.#view.setUint16(HEADER.type, type, LITTLE_ENDIAN);
  }

  /** Where in the file an address is. */
  offsetOf(address: bigint): number {
    for (const { address: start, offset, end } of this.#loaded) {
      if (start <= address && address < end) return Number(address - start + offset);
    }
    throw new SyntaxError(`Cannot prelink: address ${address} is not in the file`);
  }

  /** Where the value of each dynamic entry stands, by its tag. */
  dynamicEntries(): Map<number, number> {
    const entries = new Map<number, number>();
    const header = this.segmentHeaders.find((at) => this.u32(at + SEGMENT.type) === PT_DYNAMIC);
    if (header === undefined) throw new SyntaxError("Cannot prelink: it is linked statically");
    for (let at = Number(this.u64(header + SEGMENT.offset));; at += DYNAMIC.size) {
      const tag = Number(this.u64(at + DYNAMIC.tag));
      if (tag === DT.NULL) return entries;
      entries.set(tag, at + DYNAMIC.value);
    }
  }
}

/**
 * Draws a place: 2 ** 32 pages on x86-64, 2 ** 20 of 64 KiB on AArch64, whose smallest address space has 39 bits. V8 puts
 * its own things below the first and elsewhere in the second, the kernel puts libraries and stacks above.
 */
export function drawBase(machine: number): bigint {
  const [random] = crypto.getRandomValues(new BigUint64Array(1));
  return machine === 183
    ? (0x40_0000_0000n + (random! % 0x10_0000n << 16n))
    : 0x4000_0000_0000n + (random! % 0x1_0000_0000n << 12n);
}

function main([input, output]: readonly string[]): void {
  const file = Deno.readFileSync(input!);
  prelink(file, drawBase(file[HEADER.machine]!));
  Deno.writeFileSync(output!, file, { mode: 0o755 });
}

if (import.meta.main) main(Deno.args);
