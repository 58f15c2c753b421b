/** kata-ctl, as operators of Kata's Rust runtime call it. @module */
import { runOperator } from "./program.ts";

/** @returns The exit status. */
export function main(args: readonly string[]): Promise<number> {
  return runOperator("kata-ctl", args);
}
