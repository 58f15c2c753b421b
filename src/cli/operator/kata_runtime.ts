/** kata-runtime, as operators of Kata's Go runtime call it. @module */
import { runOperator } from "./program.ts";

/** @returns The exit status. */
export function main(args: readonly string[]): Promise<number> {
  return runOperator("kata-runtime", args);
}
