/**
 * Namespaces as files, and stepping into one for a moment.
 *
 * Namespaces belong to the thread. While this thread is in another one, only synchronous calls are true: an `await`
 * would run other code there, and asynchronous operations run on threads that never left home.
 *
 * @see https://man7.org/linux/man-pages/man7/namespaces.7.html
 * @module
 */
import { fileIdentity } from "../fs/identity.ts";
import { Fd, O_RDONLY } from "../io/fd.ts";
import { bind, check } from "../ffi/libc.ts";
import { bindMount, umount } from "../mount/mount.ts";
import { type NamespaceKind, NAMESPACES } from "./namespace_kinds.ts";

const libc = bind({
  setns: { parameters: ["i32", /* fd */ "i32" /* kind */], result: "i32" },
  unshare: { parameters: ["i32" /* flags */], result: "i32" },
});

/** Opens the namespace of a process. @param pid Default: that of this thread, now. */
export function openNamespace(kind: NamespaceKind, pid: number | "thread-self" = "thread-self"): Fd {
  return Fd.open(`/proc/${pid}/ns/${kind}`, O_RDONLY);
}

/** Whether both files stand for the same namespace (or are the same file). */
export function isSameNamespace(path: string, other: string): boolean {
  return fileIdentity(path) === fileIdentity(other);
}

/** The kinds that a thread among others can step into and come back from. */
export type EnterableKind = "cgroup" | "ipc" | "net" | "uts";

/**
 * Puts this thread into another namespace until disposed: `using _ = enterNamespace("net", fd)`. Do not `await` there.
 *
 * @param target The namespace's file, open or by path.
 */
export function enterNamespace(kind: EnterableKind, target: Fd | string): Disposable {
  if (typeof target === "string") {
    using file = Fd.open(target, O_RDONLY);
    return enterNamespace(kind, file);
  }
  using stack = new DisposableStack();
  const home = stack.use(openNamespace(kind));
  check("setns", () => libc.setns(target.number, NAMESPACES[kind]), kind);
  stack.defer(() => check("setns", () => libc.setns(home.number, NAMESPACES[kind]), `back to our ${kind} namespace`));
  return stack.move();
}

/** {@linkcode enterNamespace} for the network: sockets, netlink and `/proc/thread-self/net` are those of `target`. */
export function enterNetns(target: Fd | string): Disposable {
  return enterNamespace("net", target);
}

/** A namespace that lives as long as a file is its mount point. Disposing removes both. */
export interface NamedNamespace extends Disposable {
  readonly path: string;
}

/** @param path Where to create the file; nothing is there yet. */
export function createNetns(path: string): NamedNamespace {
  Deno.writeFileSync(path, new Uint8Array(), { createNew: true });
  try {
    inNewNetns(() => bindMount("/proc/thread-self/ns/net", path));
  } catch (cause) {
    Deno.removeSync(path);
    throw new Error(`Cannot create network namespace "${path}"`, { cause });
  }
  return { path, [Symbol.dispose]: () => removeNetns(path) };
}

/** A network namespace without a name: it ends with the last descriptor and the last process in it. */
export function newNetns(): Fd {
  return inNewNetns(() => openNamespace("net"));
}

/** @param act Synchronous, as this thread comes back after it. */
function inNewNetns<T>(act: () => T): T {
  using home = openNamespace("net");
  check("unshare", () => libc.unshare(NAMESPACES.net), "net");
  try {
    return act();
  } finally {
    check("setns", () => libc.setns(home.number, NAMESPACES.net), "back to our net namespace");
  }
}

/** Lets go of a namespace that {@linkcode createNetns} made, in this process or another. */
export function removeNetns(path: string): void {
  umount(path, { detach: true });
  Deno.removeSync(path);
}
