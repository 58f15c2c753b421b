/**
 * Pieces of a container that come from the host: its root file system and its volumes.
 *
 * Each is made in two steps by the first handler of an ordered list that takes it: `prepare` works on the host while the
 * machine boots, `attach` puts into the running machine what is to go there. Each is released in the opposite order: the
 * guest lets go of it (the agent removes the container), then the monitor, then the host.
 *
 * @module
 */
import type { Storage } from "../agent_api/storage.ts";
import { quoted } from "../base/text.ts";
import type { Logger } from "../base/log.ts";
import type { BlockDevices } from "./devices/block_devices.ts";

/** The guest's side of a piece. */
export interface GuestSide {
  /** Storages that the agent makes before the container. */
  readonly storages?: readonly Storage[];
  /** Part of the machine that it holds, such as a disk; released once the guest has let go of it. */
  readonly held?: AsyncDisposable;
}

/** The machine as pieces use it; it runs. */
export interface RunningMachine {
  readonly disks: BlockDevices;
  /** Root file system of the sandbox's own container, in the guest; empty as long as there is none. */
  readonly podRoot: string;
  /** Memory that it has by now; it may grow. */
  memoryMiB(): Promise<number>;
}

export interface AttachOptions {
  /** Ends with the sandbox. */
  signal: AbortSignal;
}

/** A piece of a container, prepared on the host. Disposing it takes back what was done there. */
export interface HostResource<P extends GuestSide = GuestSide> extends AsyncDisposable {
  /** Name of its handler, for messages. */
  readonly name: string;
  /** Puts it into the machine, which runs. Call once. @throws {Error} Nothing of it is left in the machine. */
  attach(machine: RunningMachine, options: AttachOptions): Promise<P>;
}

/** One kind of pieces: `I` tells of a piece, `C` has what the kind needs of sandbox and container. */
export interface Handler<I, C, R extends HostResource = HostResource> {
  /** Names the kind in the log. */
  readonly name: string;
  /** Tells whether a piece is of this kind; nothing is changed. */
  matches(input: I, context: C): boolean;
  /**
   * Makes it ready on the host, as far as that goes without the machine, which may be booting yet.
   *
   * @throws {KataError} Why it cannot be had; nothing is left behind.
   */
  prepare(input: I, context: C): R | Promise<R>;
}

/** Handlers in order: the first that matches takes a piece. The last of a list takes all. */
export interface HandlerList<I, C, R extends HostResource> {
  /** Names the pieces: `volume`. */
  readonly kind: string;
  readonly handlers: readonly Handler<I, C, R>[];
  /** Names one piece, for log and errors. */
  describe(input: I): string;
}

/** Several that are released together, the last one first; one that fails keeps no other from its release. */
export interface Owned<T> extends AsyncDisposable {
  readonly all: readonly T[];
}

/** @throws {Error} Of the first piece that cannot be had; those before it are released. */
export async function prepareAll<I, C extends { log?: Logger }, R extends HostResource>(
  { kind, handlers, describe }: HandlerList<I, C, R>,
  inputs: readonly I[],
  context: C,
): Promise<Owned<R>> {
  await using undo = new AsyncDisposableStack();
  const all: R[] = [];
  for (const input of inputs) {
    const handler = handlers.find((one) => one.matches(input, context));
    if (handler === undefined) throw new Error(`Cannot use ${kind} ${quoted(describe(input))}: it is of no known kind`);
    context.log?.debug(`Preparing a ${kind}`, { handler: handler.name, [kind]: describe(input) });
    all.push(undo.use(await handler.prepare(input, context)));
  }
  return owned(all, undo.move());
}

/** @throws {Error} Naming the handler of the first that fails; those before it are out of the machine again. */
export async function attachAll<P extends GuestSide>(
  resources: readonly HostResource<P>[],
  machine: RunningMachine,
  options: AttachOptions,
): Promise<Owned<P>> {
  await using undo = new AsyncDisposableStack();
  const all: P[] = [];
  for (const resource of resources) {
    const side = await resource.attach(machine, options);
    undo.use(side.held);
    all.push(side);
  }
  return owned(all, undo.move());
}

function owned<T>(all: readonly T[], stack: AsyncDisposableStack): Owned<T> {
  return { all, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A piece that the machine need not run for: all of it is known on the host. @param undo What takes it back. */
export function ready<P extends GuestSide>(name: string, side: P, undo?: Disposable): HostResource<P> {
  return {
    name,
    attach: () => Promise.resolve(side),
    [Symbol.asyncDispose]: async () => undo?.[Symbol.dispose](),
  };
}
