/**
 * Guests that attack: their agent is the real one, over the real channel and with the real share, until a test has it do
 * something else. See `scripts/guest/hostile_entry.ts`. Other attackers are in the files beside; the witness is the host.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Attack, HostileGuest } from "../../scripts/guest/hostile_entry.ts";
import { concat, packCpio } from "../../scripts/guest/cpio.ts";
import { exists } from "../../src/base/files.ts";
import { GUEST } from "../interop/containerd.ts";
import { type PodContainer, type PodNode, pods } from "../interop/pod.ts";

export type { HostileGuest };

/** As `scripts/guest/hostile_entry.ts` knows it, which cannot be imported: it is a program. */
const ATTACK_WORD = "attack ";
const INITRD = `${GUEST}/hostile.cpio`;

/** Runs as root of the guest, as text: it sees its arguments, which travel as JSON, and nothing else of the test. */
export type GuestFunction<A extends unknown[], R> = (guest: HostileGuest, ...args: A) => R | Promise<R>;

/** Has the guest that a container is in run a function. @throws {Error} The function threw. */
export async function inGuest<A extends unknown[], R>(
  container: PodContainer,
  attack: GuestFunction<A, R>,
  ...args: A
): Promise<R> {
  // Its status is what a hostile agent says that it is.
  const { stdout, stderr } = await container.tryExec(attackCommand(attack, ...args));
  assert.notEqual(stdout, "", `the guest is not hostile: ${stderr}`);
  const { value, error } = JSON.parse(stdout);
  assert.equal(error, undefined, `in the guest: ${error}`);
  return value;
}

/** The command, to be run in a container of a hostile guest, that has the guest run a function. */
export function attackCommand<A extends unknown[], R>(attack: GuestFunction<A, R>, ...args: A): string {
  return ATTACK_WORD + JSON.stringify(textOf(attack, args));
}

function textOf<A extends unknown[], R>(attack: GuestFunction<A, R>, args: A): Attack {
  return { text: attack.toString(), args };
}

/**
 * A configuration whose guests are hostile.
 *
 * @param first What they do from the start, beside serving; default: they wait for {@linkcode inGuest}.
 */
export function hostileGuests<A extends unknown[]>(
  first?: GuestFunction<A, unknown>,
  ...args: A
): (toml: string) => string {
  const initrd = first === undefined ? INITRD : withFirst(textOf(first, args));
  return (toml) => toml.replace(/initrd = .*/, () => `initrd = "${initrd}"`);
}

/** The kernel unpacks archives one after the other. The file goes with the process. */
function withFirst(first: Attack): string {
  const path = Deno.makeTempFileSync({ prefix: "kata-hostile-", suffix: ".cpio" });
  globalThis.addEventListener("unload", () => Deno.removeSync(path));
  const data = new TextEncoder().encode(JSON.stringify(first));
  const more = packCpio([{ kind: "file", path: "hostile/first.json", mode: 0o644, data }]);
  Deno.writeFileSync(path, concat([Deno.readFileSync(INITRD), more]));
  return path;
}

/** As {@linkcode pods}, with hostile guests. */
export function hostilePods(
  name: string,
  body: (node: PodNode, test: Deno.TestContext) => Promise<void>,
  { first, configure = (toml) => toml, ...options }: Parameters<typeof pods>[2] & {
    first?: GuestFunction<[], unknown>;
  } = {},
): void {
  const hostile = (toml: string) => hostileGuests(first)(configure(toml));
  pods(name, body, { ...options, ...(exists(INITRD) && { configure: hostile }) });
}
