/** Requests of a specification for what is the host's alone: refused by name, before anything is made. Pure. @module */
import type { ContainerType } from "../agent_api/names.ts";
import { quoted } from "../base/text.ts";
import { KataError } from "../base/error.ts";
import type { Config } from "../config/schema.ts";
import type { Namespace, Spec } from "../oci/spec/spec.ts";

export interface HostOnlyOptions {
  id: string;
  type: ContainerType;
  config: Config;
}

/**
 * Namespaces by kind, with what a container shares with the host if its specification names no such namespace, and with
 * somebody on the host if it names one of theirs. The network has rules of its own (`network/netns.ts`), a container's processes too
 * (`pid_namespace.ts`); a cgroup namespace shows groups of the guest either way.
 */
const SHARED = {
  ipc: "shared memory, semaphores and message queues (host IPC)",
  pid: "processes (host PID)",
  uts: "hostname (host UTS)",
} as const satisfies Partial<Record<Namespace["type"], string>>;

/**
 * @throws {KataError} UNIMPLEMENTED: it asks for the host's own namespace, or that of a process there, or for clocks of
 * its own; or its filter of system calls has a listener, which is a process of the host.
 */
export function refuseHostOnly(spec: Spec, { id, type, config }: HostOnlyOptions): void {
  const refuse = (why: string) => {
    throw new KataError("UNIMPLEMENTED", `Cannot create container ${quoted(id)}: ${why}`);
  };
  const { namespaces = [], seccomp, timeOffsets = {} } = spec.linux ?? {};
  for (const [kind, what] of Object.entries(SHARED)) {
    const namespace = namespaces.find((one) => one.type === kind);
    if (namespace === undefined) refuse(`it asks for the host's ${what}, which a virtual machine has not`);
    // Those of a pod's container are the pod's, and engines write the process that we tell them of.
    if (kind !== "pid" && namespace?.path && type !== "pod_container") {
      refuse(
        `it asks for the ${what} at ${quoted(namespace.path)}, which are the host's, and it is in a virtual machine`,
      );
    }
  }
  if (Object.keys(timeOffsets).length > 0) {
    refuse("it asks for clocks of its own, and the guest is the sandbox's clock");
  }
  if (seccomp?.listenerPath && !config.runtime.disable_guest_seccomp) {
    refuse(
      `its seccomp profile has a listener at ${quoted(seccomp.listenerPath)}, which the guest's kernel cannot ask`,
    );
  }
}
