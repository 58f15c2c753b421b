/** Kernel parameters that belong to the container's own namespaces. @module */
import { quoted } from "../../base/text.ts";
import type { NamespaceType } from "../spec/spec.ts";

const IPC = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/**
 * The file below /proc/sys of a parameter: `net.ipv4.ip_forward`, or `net/ipv4/conf/eth0.100/forwarding` where a name
 * holds a dot itself.
 *
 * @throws {RangeError} The name leaves /proc/sys.
 */
export function sysctlPath(name: string): string {
  const path = name.includes("/") ? name.replace(/^\/+/, "") : name.replaceAll(".", "/");
  if (path === "" || path.split("/").some((part) => part === "" || part === "." || part === "..")) {
    throw new RangeError(`Cannot set sysctl ${quoted(name)}: not a name below /proc/sys`);
  }
  return `/proc/sys/${path}`;
}

/**
 * Why a parameter may not be set, or undefined if it may: it would change the machine, not only the container.
 *
 * @param own The namespaces that the container does not share with us.
 */
export function sysctlProblem(name: string, own: ReadonlySet<NamespaceType>): string | undefined {
  const dotted = name.replaceAll("/", ".");
  const needed = neededNamespace(dotted);
  if (needed === undefined) return `sysctl ${quoted(name)} is not in a namespace of its own`;
  if (!own.has(needed)) return `sysctl ${quoted(name)} needs a ${needed} namespace of its own`;
  if (dotted === "kernel.hostname") return `sysctl ${quoted(name)} is set by "hostname"`;
  return undefined;
}

function neededNamespace(dotted: string): NamespaceType | undefined {
  if (IPC.has(dotted) || dotted.startsWith("fs.mqueue.")) return "ipc";
  if (dotted.startsWith("net.")) return "network";
  if (dotted === "kernel.domainname" || dotted === "kernel.hostname") return "uts";
  if (dotted.startsWith("user.")) return "user";
  return undefined;
}
