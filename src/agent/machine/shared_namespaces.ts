/** The namespaces that all containers of a sandbox share, kept alive by files that they are mounted on. @module */
import { umount } from "../../linux/mount/mount.ts";
import { MS } from "../../linux/mount/mount_options.ts";
import { SyscallProgram } from "../../linux/child_program/program.ts";

/** Paths of the namespaces. Disposing it lets them go with their last user. */
export interface SharedNamespaces extends Disposable {
  readonly ipc: string;
  readonly uts: string;
  /** The name that containers see; empty: the guest's. */
  readonly hostname: string;
}

const KINDS = ["ipc", "uts"] as const;

/**
 * Makes new IPC and UTS namespaces.
 *
 * @param directory Where the files go, such as `/var/run/sandbox-ns`.
 * @param hostname The name that containers see; empty keeps the guest's.
 */
export function createSharedNamespaces(directory: string, { hostname }: { hostname: string }): SharedNamespaces {
  Deno.mkdirSync(directory, { recursive: true });
  const paths = { ipc: `${directory}/ipc`, uts: `${directory}/uts` };
  for (const kind of KINDS) Deno.writeTextFileSync(paths[kind], "");
  makeNamespaces(paths, hostname);
  return {
    ...paths,
    hostname,
    [Symbol.dispose]() {
      for (const kind of KINDS) {
        umount(paths[kind], { detach: true });
        Deno.removeSync(paths[kind]);
      }
    },
  };
}

/** Makes the namespaces by a child, which mounts them where they stay, and is no longer needed. */
function makeNamespaces(paths: { ipc: string; uts: string }, hostname: string): void {
  using program = new SyscallProgram();
  const name = new TextEncoder().encode(hostname);
  if (name.length > 0) program.call("sethostname", [name, name.length], { label: `sethostname ${hostname}` });
  for (const kind of KINDS) {
    const label = `keep the ${kind} namespace at ${paths[kind]}`;
    program.call("mount", [`/proc/self/ns/${kind}`, paths[kind], null, MS.BIND, null], { label });
  }
  program.call("exit_group", [0]);
  const child = program.start({ vfork: true, flags: ["newipc", "newuts"] });
  child.waitSync();
  if (child.failure !== undefined) throw new Error("Cannot make the sandbox' namespaces", { cause: child.failure });
}
