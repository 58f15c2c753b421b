/** Whether a figure grows from round to round: a line through it by least squares, and how sure its slope is. Pure. @module */

/** A figure at the end of a round. */
export interface Sample {
  round: number;
  value: number;
}

/** How much a figure may grow without being taken for a leak. Both must be passed for one. */
export interface Bound {
  perRound: number;
  /** Over all rounds that count: what caches take. */
  slack: number;
}

/** A figure and its bound. */
export interface Figure {
  value: number;
  bound: Bound;
  /** Allocators make noise above a floor: the least of so many rounds counts. Default: 1. */
  leastOf?: number;
}

/** The line through some samples. */
export interface Trend {
  perRound: number;
  /** Standard error of the slope. */
  error: number;
  samples: number;
  /** The values of the line at the first round and at the last one. */
  first: number;
  last: number;
}

/** So many standard errors below the estimate the slope is with a confidence of 97.7 %. */
const CONFIDENCE = 2;
/** Fewer say nothing about a slope. */
const FEWEST = 4;

/** Fits a line by least squares. @param samples At least one; one has no slope. */
export function fitTrend(samples: readonly Sample[]): Trend {
  const count = samples.length;
  const meanRound = samples.reduce((sum, { round }) => sum + round, 0) / count;
  const meanValue = samples.reduce((sum, { value }) => sum + value, 0) / count;
  const spread = samples.reduce((sum, { round }) => sum + (round - meanRound) ** 2, 0);
  const shared = samples.reduce((sum, { round, value }) => sum + (round - meanRound) * (value - meanValue), 0);
  const perRound = spread > 0 ? shared / spread : 0;
  const at = (round: number) => meanValue + perRound * (round - meanRound);
  const rest = samples.reduce((sum, { round, value }) => sum + (value - at(round)) ** 2, 0);
  const error = count > 2 ? Math.sqrt(rest / (count - 2) / spread) : Infinity;
  return { perRound, error, samples: count, first: at(samples[0]!.round), last: at(samples.at(-1)!.round) };
}

/** Whether the slope is above the bound beyond doubt, and the growth more than the slack. */
export function grows({ perRound, error, samples, first, last }: Trend, bound: Bound): boolean {
  return samples >= FEWEST && perRound - CONFIDENCE * error > bound.perRound && last - first > bound.slack;
}

/** The least of each `size` samples in a row. */
export function leastOfEach(samples: readonly Sample[], size: number): Sample[] {
  const groups = Array.from(
    { length: Math.ceil(samples.length / size) },
    (_, at) => samples.slice(at * size, at * size + size),
  );
  return groups.map((group) => group.reduce((least, sample) => sample.value < least.value ? sample : least));
}

/** All figures of a soak, round by round. */
export class Series {
  readonly #samples = new Map<string, Sample[]>();
  readonly #figures = new Map<string, Figure>();

  note(round: number, figures: Readonly<Record<string, Figure>>): void {
    for (const [name, figure] of Object.entries(figures)) {
      this.#figures.set(name, figure);
      this.#samples.set(name, [...this.#samples.get(name) ?? [], { round, value: figure.value }]);
    }
  }

  /** The trend of each figure in the second half of the rounds: the first one fills caches. */
  trends(): { name: string; trend: Trend; isGrowing: boolean }[] {
    return [...this.#figures].map(([name, { bound, leastOf = 1 }]) => {
      const samples = this.#samples.get(name)!;
      const trend = fitTrend(leastOfEach(samples.slice(samples.length >> 1), leastOf));
      return { name, trend, isGrowing: grows(trend, bound) };
    });
  }

  /** A line for each figure that grows; none is what a test wants. */
  growth(): string[] {
    return this.trends().filter(({ isGrowing }) => isGrowing).map(({ name, trend }) => `${name}: ${describe(trend)}`);
  }
}

/** Such as `24.1 to 24.3, 0.002 ± 0.004 a round (50 samples)`. */
export function describe({ perRound, error, samples, first, last }: Trend): string {
  const slope = `${perRound.toFixed(3)} ± ${(CONFIDENCE * error).toFixed(3)}`;
  return `${first.toFixed(1)} to ${last.toFixed(1)}, ${slope} a round (${samples} samples)`;
}
