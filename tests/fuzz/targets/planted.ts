/** Targets with a fault each, which show that the machine finds what it looks for. Not in the list of targets. @module */
import { mount } from "../../../src/linux/mount/mount.ts";
import { missingForBox } from "../core/box.ts";
import { watchMachine } from "../core/left.ts";
import { Random } from "../core/random.ts";
import type { AnyTarget, Scratch } from "../core/target.ts";
import { defineTarget } from "../core/target.ts";

const SHORT_MS = 100;
/** The input that does it. */
const BAD = new Random("1:40").word();

function planted(name: string, run: (input: number, scratch: Scratch) => unknown): AnyTarget {
  return defineTarget({ name: `planted-${name}`, rounds: 0, make: (random) => random.word(), run, boundMs: 2_000 });
}

const kept: Uint8Array[] = [];

/** Runs in a box, as what makes containers does. */
const remains: AnyTarget = {
  ...planted("remains", async () => {
    const nothingStays = watchMachine({ settleMs: SHORT_MS });
    mount("tmpfs", "/run", { type: "tmpfs", flags: 0, data: "" });
    await nothingStays();
  }),
  isBoxed: true,
  missing: missingForBox,
  boundMs: 60_000,
};

export const PLANTED: readonly AnyTarget[] = [
  planted("refusal", () => {
    throw new RangeError("Cannot use this: it is not wanted");
  }),
  planted("fault", (input) => {
    if (input === BAD) Reflect.get(Object, "x").y;
  }),
  planted("rejection", (input) => {
    if (input === BAD) void Promise.reject(new Error("nobody waits for this"));
  }),
  planted("hang", (input) => {
    while (input === BAD);
  }),
  planted("silence", (input) => input === BAD ? new Promise(() => {}) : undefined),
  planted("crash", (input) => {
    if (input === BAD) Deno.kill(Deno.pid, "SIGABRT");
  }),
  planted("pollution", (input) => {
    if (input === BAD) Reflect.set(Object.prototype, "polluted", "yes");
  }),
  planted("escape", (input, { outside }) => {
    if (input === BAD) Deno.chmodSync(`${outside}/deep/file`, 0o777);
  }),
  planted("growth", () => {
    kept.push(new Uint8Array(16 << 10).fill(1));
  }),
  remains,
];
