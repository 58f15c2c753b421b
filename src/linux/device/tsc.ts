/**
 * How fast the processor's time stamp counter runs. The kernel knows, but does not tell.
 *
 * @module
 */
import { mapCode } from "../child_program/machine_code.ts";

/** `rdtsc; shl $32, %rdx; or %rdx, %rax; ret` */
const READ_TSC = Uint8Array.fromHex("0f3148c1e2204809d0c3");
const SAMPLES = 10;

type Counter = Deno.UnsafeFnPointer<{ readonly parameters: readonly []; readonly result: "u64" }>;

let counter: Counter | undefined;

/** A reading of counter and clock at one time. */
interface Reading {
  ticks: number;
  ms: number;
}

/** Begins to measure when it is made. Only for x86-64. */
export class TscMeasurement {
  readonly #begin = readTsc();

  /** For how long it has measured, in milliseconds. An error of a microsecond is what is to be reckoned with. */
  get lastsMs(): number {
    return performance.now() - this.#begin.ms;
  }

  /** @returns Kilohertz, as since the beginning. */
  frequency(): number {
    const end = readTsc();
    return Math.round((end.ticks - this.#begin.ticks) / (end.ms - this.#begin.ms));
  }
}

/** Of several readings that between whose two looks at the clock the least time has passed. */
function readTsc(): Reading {
  counter ??= mapCounter();
  let best = { width: Infinity, ticks: 0, ms: 0 };
  for (let n = 0; n < SAMPLES; n++) {
    const before = performance.now();
    const ticks = Number(counter.call());
    const after = performance.now();
    if (after - before < best.width) best = { width: after - before, ticks, ms: (before + after) / 2 };
  }
  return best;
}

function mapCounter(): Counter {
  const definition = { parameters: [], result: "u64" } as const;
  return new Deno.UnsafeFnPointer(mapCode(READ_TSC) as Deno.PointerObject<typeof definition>, definition);
}
