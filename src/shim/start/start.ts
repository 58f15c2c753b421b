/** `start`: makes sure that a shim serves the task, and answers with its address. @module */
import { KataError } from "../../base/error.ts";
import { removeIfThere } from "../../base/files.ts";
import { O_NONBLOCK, pipe } from "../../linux/io/fd.ts";
import { configurePolling } from "../../linux/io/poll.ts";
import { spawn } from "../../linux/process/spawn.ts";
import { writeWholeFile } from "../../linux/fs/whole_file.ts";
import { identify } from "../annotations.ts";
import { dial } from "../../rpc/transport/address.ts";
import type { ShimArgs } from "../args.ts";
import { socketAddress } from "../bootstrap.ts";
import { awaitReady, READY_FD, READY_VARIABLE } from "./ready.ts";
import { readSpec } from "../requests.ts";
import { selfCommand } from "./self.ts";
import type { StartInput } from "./input.ts";

/**
 * A shim lives as long as its pod and does little at a time: without much room for young objects (MiB), and with garbage
 * collected early, it stays about 8 MB smaller.
 */
export const V8_FLAGS = "--max-semi-space-size=1,--optimize-for-size";

export interface StartOptions {
  /** Directory with `config.json`; it gets the files `address` and `shim.pid`. */
  bundle: string;
  /** Bytes that containerd wrote to stdin. */
  input: Uint8Array;
}

/**
 * A container of a pod is served by its sandbox's shim; any other gets a process of its own.
 *
 * @returns The address of the socket, on which somebody listens.
 * @throws {Error} Why no shim could be started; then nothing is left.
 */
export async function start(args: ShimArgs, { bundle, input }: StartOptions): Promise<string> {
  configurePolling("thread");
  const { annotations } = readSpec(bundle);
  const { type, sandboxId } = identify(annotations, args.id);
  const settings = await readInput(input, args);
  const address = await socketAddress({ ...args, id: sandboxId }, settings.socketDir);
  if (type !== "pod_container") {
    await makeRoom(address);
    const pid = await startServing(args, { ...settings, address });
    writeWholeFile(`${bundle}/shim.pid`, String(pid), { mode: 0o644 });
  }
  writeWholeFile(`${bundle}/address`, address, { mode: 0o644 });
  return address;
}

async function readInput(input: Uint8Array, args: ShimArgs): Promise<StartInput> {
  return input.length === 0 ? {} : (await import("./input.ts")).parseStartInput(input, args);
}

/** Removes the socket of a shim that is gone. @throws {KataError} ALREADY_EXISTS: somebody answers there. */
async function makeRoom(address: string): Promise<void> {
  const path = address.slice("unix://".length);
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o711 });
  try {
    using _other = await dial(address);
  } catch {
    return removeIfThere(path);
  }
  throw new KataError("ALREADY_EXISTS", `Cannot serve on ${address}: a shim does already`);
}

async function startServing(args: ShimArgs, settings: StartInput & { address: string }): Promise<number> {
  const flags = ["-namespace", args.namespace, "-id", args.id, "-address", args.address];
  flags.push("-publish-binary", args.publishBinary, "-socket", settings.address);
  if (args.debug || settings.debug) flags.push("-debug");
  const command = selfCommand("containerd-shim-kata-v2", flags);
  const env: Record<string, string> = { ...command.env, [READY_VARIABLE]: String(READY_FD) };
  env["DENO_V8_FLAGS"] ??= V8_FLAGS;
  if (settings.ttrpcAddress !== undefined) env["TTRPC_ADDRESS"] ??= settings.ttrpcAddress;
  using ready = pipe(O_NONBLOCK);
  const child = spawn({ ...command, env, newSession: true, fds: [{ child: READY_FD, fd: ready.write }] });
  ready.write[Symbol.dispose]();
  await awaitReady(ready.read);
  return child.pid;
}
