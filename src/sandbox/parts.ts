/** Parts of a sandbox, made on the host before its machine boots. @module */
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import { removePath } from "../linux/fs/remove_tree.ts";
import { BlockDevices } from "../resources/devices/block_devices.ts";
import { SandboxResources } from "../resources/sandbox_resources.ts";
import { Containers } from "./container/containers.ts";
import { makeMachine } from "./machine/make.ts";
import type { SandboxOptions } from "./options.ts";
import { makeRunDir } from "./persist.ts";
import { DEFAULT_ROOTS } from "./roots.ts";

export interface SandboxParts {
  /** Directory of its sockets and its state. */
  runDir: string;
  host: SandboxResources;
  containers: Containers;
  vm: Hypervisor;
  disks: BlockDevices;
  /** Fires when the sandbox stops. */
  abort: AbortController;
  /** Owns all of them. */
  owner: AsyncDisposableStack;
}

/** @throws {KataError} ALREADY_EXISTS. Nothing is left behind. */
export async function makeParts(options: SandboxOptions): Promise<SandboxParts> {
  const { id, log, roots = DEFAULT_ROOTS } = options;
  const runDir = `${roots.run}/${id}`;
  // Released last first: the VM ends, then nothing uses the files any more.
  await using undo = new AsyncDisposableStack();
  makeRunDir(roots.run, id);
  undo.defer(() => removePath(runDir));
  const host = undo.use(await SandboxResources.create({ ...options, sharedRoot: roots.shared }));
  const containers = undo.use(new Containers(id));
  const vm = undo.use(makeMachine(host, { ...options, runDir }));
  const abort = new AbortController();
  const disks = new BlockDevices({ vm, signal: abort.signal, log });
  return { runDir, host, containers, vm, disks, abort, owner: undo.move() };
}
