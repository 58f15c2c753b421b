/** Chance that can be had again: the same seed gives the same inputs on every machine. @module */

/** Whole numbers at which programs break: signs, widths, and what a double cannot count on. */
const EDGES: readonly number[] = [
  0,
  -0,
  1,
  -1,
  2,
  3,
  7,
  8,
  9,
  10,
  63,
  64,
  65,
  100,
  127,
  128,
  255,
  256,
  1023,
  1024,
  4095,
  4096,
  8191,
  8192,
  32767,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
  2 ** 53,
  -(2 ** 53),
];

/** A generator of the kind sfc32, seeded by any text. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  /** @param seed Such as `7:1234`: a run's seed and the number of an input. */
  constructor(seed: string) {
    [this.#a, this.#b, this.#c] = [hash(`a${seed}`), hash(`b${seed}`), hash(`c${seed}`)];
    for (let round = 0; round < 12; round++) this.word();
  }

  /** 32 bits, unsigned. */
  word(): number {
    const sum = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** From 0 to `count` - 1. */
  below(count: number): number {
    return this.word() % Math.max(1, count);
  }

  /** Both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in one of `of` cases. */
  once(of: number): boolean {
    return this.below(of) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** Small counts are common, larger ones rare. */
  few(most = 8): number {
    return this.below(1 + this.below(most + 1));
  }

  /** `count` things. */
  times<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => make(index));
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }

  /** A whole number, often one of the edges. */
  integer(): number {
    const number = this.once(2) ? this.pick(EDGES) : this.once(2) ? this.below(300) : this.word() - 2 ** 31;
    return this.once(8) ? number + this.between(-2, 2) : number;
  }

  /** A number of `bits`, as protobuf's 64-bit fields hold. */
  big({ signed }: { signed: boolean }): bigint {
    const wide = this.once(3) ? (BigInt(this.word()) << 32n) | BigInt(this.word()) : BigInt(Math.trunc(this.integer()));
    return signed ? BigInt.asIntN(64, wide) : BigInt.asUintN(64, wide);
  }
}

/** FNV-1a, with a last mix so that neighbours differ in all bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return value ^ (value >>> 13);
}
