/** Exact shares of CPUs: ten times 0.1 is 1, which binary floating point cannot say. Pure. @module */

/** `numerator / denominator`; the denominator is positive. */
export interface Fraction {
  numerator: bigint;
  denominator: bigint;
}

export const ZERO: Fraction = { numerator: 0n, denominator: 1n };

/** The number as it is written: 0.1 is a tenth. @param value Not negative, without an exponent when printed. */
export function fractionOf(value: number): Fraction {
  const [whole = "0", decimals = ""] = value.toFixed(6).split(".");
  return { numerator: BigInt(whole + decimals), denominator: 10n ** BigInt(decimals.length) };
}

/** The sum of all. */
export function sum(fractions: readonly Fraction[]): Fraction {
  return fractions.reduce((left, right) => ({
    numerator: left.numerator * right.denominator + right.numerator * left.denominator,
    denominator: left.denominator * right.denominator,
  }), ZERO);
}

/** The least whole number that is not smaller. */
export function roundUp({ numerator, denominator }: Fraction): number {
  return Number((numerator + denominator - 1n) / denominator);
}
