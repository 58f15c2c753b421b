/** Containers that attack: more rights than usual, and a script that uses them. @module */
import { type Pod, type PodContainer, SLEEP } from "../interop/pod.ts";
import type { Message } from "../interop/cri.ts";

/** Of the container and of the pod that it is in: shared among all containers of a pod. */
export const SHARED_PID = 0;

/** Kind of a profile that is a file. */
const LOCALHOST = 2;

export interface Rights {
  /** Added to the default ones: `SYS_PTRACE`. */
  capabilities?: readonly string[];
  /** All capabilities, and what else a privileged container gets; its pod must be privileged too. */
  privileged?: boolean;
  /** Sees all processes of its pod, whose configuration must say so as well. */
  sharesPids?: boolean;
  /** File with a filter of system calls, as the runtime specification has them. */
  seccomp?: string;
  /** As in the container's configuration. */
  mounts?: readonly Message[];
}

/** The security context for a pod that has containers with these rights. */
export function podWith(rights: Rights): Message {
  return { linux: { security_context: securityContext(rights) } };
}

/** Starts a container that waits for `exec` to attack, or that runs `script`. */
export async function hostileContainer(
  pod: Pod,
  name: string,
  { script = SLEEP, mounts = [], ...rights }: Rights & { script?: string } = {},
): Promise<PodContainer> {
  return await pod.run(name, script, { mounts, linux: { security_context: securityContext(rights) } });
}

function securityContext({ capabilities = [], privileged = false, sharesPids = false, seccomp }: Rights): Message {
  return {
    privileged,
    ...(seccomp !== undefined && { seccomp: { profile_type: LOCALHOST, localhost_ref: seccomp } }),
    ...(capabilities.length > 0 && { capabilities: { add_capabilities: capabilities } }),
    ...(sharesPids && { namespace_options: { pid: SHARED_PID } }),
  };
}
