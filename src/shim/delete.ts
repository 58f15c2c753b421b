/** `delete`: takes away what a shim left that is gone, with nothing but the flags and the bundle. @module */
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { DeleteResponseSchema } from "../proto/task_v2_pb.ts";
import { identify } from "./annotations.ts";
import type { Spec } from "../oci/spec/spec.ts";
import { umountTree } from "../linux/mount/mount.ts";
import { cleanUpSandbox, hasShim } from "../sandbox/cleanup.ts";
import { HostHooks } from "../sandbox/container/host_hooks.ts";
import { KILLED_STATUS } from "../sandbox/container/status.ts";
import { readState } from "../sandbox/persist.ts";
import { DEFAULT_ROOTS, type SandboxRoots } from "../sandbox/roots.ts";
import { isErrno } from "../linux/ffi/errno.ts";
import { readPlainText } from "../linux/fs/in_root.ts";
import { openTrusted } from "../linux/fs/trusted.ts";
import type { Logger } from "../base/log.ts";
import type { ShimArgs } from "./args.ts";
import { socketAddress } from "./bootstrap.ts";
import { readSpec } from "./requests.ts";

export interface DeleteOptions {
  /** Directory of the task; its `config.json` may be gone. */
  bundle: string;
  log: Logger;
  roots?: SandboxRoots;
}

/**
 * Idempotent (B38): what is not there is no error.
 *
 * @returns The `DeleteResponse` for containerd, which announces the exit itself.
 * @throws What could not be taken away.
 */
export async function deleteTask(
  args: ShimArgs,
  { bundle, log, roots = DEFAULT_ROOTS }: DeleteOptions,
): Promise<Uint8Array> {
  const spec = specOf(bundle);
  const sandboxId = sandboxOf(args.id, spec);
  await using cleanup = new AsyncDisposableStack();
  // Last first, and each of them whatever becomes of the others.
  if (spec !== undefined) {
    const hooks = new HostHooks({ id: args.id, bundle, spec }, { pid: () => 0, log });
    cleanup.defer(() => hooks.runPoststop());
  }
  // A container of a pod whose shim lives is that shim's business.
  if (sandboxId === args.id || !hasShim(`${roots.run}/${sandboxId}`)) {
    const recorded = readState(`${roots.run}/${sandboxId}`)?.address;
    cleanup.defer(() => cleanUpSandbox(sandboxId, { roots, log }));
    cleanup.defer(() => removeSocket({ ...args, id: sandboxId }, { bundle, recorded }));
  }
  cleanup.defer(() => umountTree(`${bundle}/rootfs`));
  const response = create(DeleteResponseSchema, {
    exitStatus: KILLED_STATUS,
    exitedAt: timestampFromDate(new Date()),
  });
  return toBinary(DeleteResponseSchema, response);
}

/** @returns Undefined if there is none any more, or none that can be read. */
function specOf(bundle: string): Spec | undefined {
  try {
    return readSpec(bundle);
  } catch {
    return undefined;
  }
}

/** Without a readable configuration the task is taken for a sandbox: then it can only be alone. */
function sandboxOf(id: string, spec: Spec | undefined): string {
  try {
    return identify(spec?.annotations, id).sandboxId;
  } catch {
    return id;
  }
}

/**
 * Removes the socket of this very shim, in the directory that the state or the bundle names or in the usual one: nothing
 * else has its name, which is a digest.
 */
async function removeSocket(
  args: ShimArgs,
  { bundle, recorded }: { bundle: string; recorded: string | undefined },
): Promise<void> {
  const usual = await socketAddress(args);
  const name = usual.slice(usual.lastIndexOf("/") + 1);
  for (const address of new Set([recorded, addressFile(bundle), usual])) {
    const [, directory] = /^unix:\/\/(\/.*)\/([^/]*)$/.exec(address?.endsWith(`/${name}`) ? address : "") ?? [];
    if (directory !== undefined) removeSocketIn(directory, name);
  }
}

function removeSocketIn(path: string, name: string): void {
  try {
    using directory = openTrusted(path);
    if (Deno.lstatSync(`${directory.seen}/${name}`).isSocket) Deno.removeSync(`${directory.seen}/${name}`);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}

function addressFile(bundle: string): string | undefined {
  try {
    return readPlainText(`${bundle}/address`, { limit: 4096 }).trim();
  } catch {
    return undefined;
  }
}
