/** Mounts whose options have relative paths. @module */
import { SyscallProgram } from "../child_program/program.ts";
import { detachOne, type MountCall, type Mounted, type MountEnds, mustFit } from "./mount.ts";

/**
 * Mounts as `mount` does, from another directory: relative paths in the options start there. A child does it, as the
 * working directory is the whole process's, threads of others included.
 *
 * @throws {ErrnoError} `mount overlay on /run/rootfs: EINVAL`
 * @throws {RangeError} The options do not fit the kernel's page.
 */
export function mountFrom(directory: string, { source, target, ...call }: MountCall & MountEnds): Mounted {
  const { type = "", flags = 0, data = "" } = call;
  mustFit(data, { source, target });
  using program = new SyscallProgram();
  program.call("chdir", [directory]);
  program.call("mount", [source, target, type, flags, data], { label: `mount ${source} on ${target}` });
  program.call("exit_group", [0]);
  const child = program.start({ vfork: true });
  child.waitSync();
  if (child.failure !== undefined) throw child.failure;
  return { target, [Symbol.dispose]: () => void detachOne(target) };
}
