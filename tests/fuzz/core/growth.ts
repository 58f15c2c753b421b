/** Whether a process grows with what it is fed, told from samples. Pure. @module */

export interface Sample {
  /** Inputs so far. */
  inputs: number;
  rssMiB: number;
  /** Memory that JavaScript holds after a collection, buffers included. */
  heapMiB: number;
}

/** A line through samples. */
export interface Slope {
  /** MiB in 1,000 inputs. */
  perThousand: number;
  /** MiB that the line rises over the samples. */
  rise: number;
  /** MiB that a sample is usually off the line. */
  scatter: number;
}

/** The heap may wander by this much without a meaning, in MiB. */
const WANDER_MIB = 16;
const LEAST_SAMPLES = 8;

/** Fitted by least squares to the later two thirds: the first third fills caches. */
export function slopeOf(samples: readonly Sample[], read: (sample: Sample) => number): Slope | undefined {
  const late = samples.slice(Math.floor(samples.length / 3));
  if (late.length < LEAST_SAMPLES) return undefined;
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const middle = mean(late.map(({ inputs }) => inputs));
  const level = mean(late.map(read));
  const spread = late.reduce((sum, { inputs }) => sum + (inputs - middle) ** 2, 0);
  if (spread === 0) return undefined;
  const tilt = late.reduce((sum, sample) => sum + (sample.inputs - middle) * (read(sample) - level), 0) / spread;
  const off = late.map((sample) => (read(sample) - level - tilt * (sample.inputs - middle)) ** 2);
  return {
    perThousand: tilt * 1000,
    rise: tilt * (late.at(-1)!.inputs - late[0]!.inputs),
    scatter: Math.sqrt(mean(off)),
  };
}

/** Why this is growth, or undefined. */
export function growthOf(samples: readonly Sample[]): string | undefined {
  const slope = slopeOf(samples, ({ heapMiB }) => heapMiB);
  if (slope === undefined || slope.rise < WANDER_MIB || slope.rise < 4 * slope.scatter) return undefined;
  const per = slope.perThousand.toFixed(2);
  return `the heap rises by ${slope.rise.toFixed(0)} MiB, ${per} MiB in 1,000 inputs (a sample is ${
    slope.scatter.toFixed(1)
  } MiB off)`;
}
