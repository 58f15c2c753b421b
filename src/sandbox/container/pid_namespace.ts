/** The process namespace that a container of a pod is to have, as far as its specification tells. Pure. @module */
import type { ContainerType } from "../../agent_api/names.ts";
import { KataError } from "../../base/error.ts";
import type { Spec } from "../../oci/spec/spec.ts";
import type { PidNamespace } from "../agent/containers.ts";
import type { Status } from "./status.ts";

/** A container that there is already. */
export interface Neighbor {
  id: string;
  pidNamespace: PidNamespace;
  status: Status;
}

export interface PidNamespaceOptions {
  id: string;
  type: ContainerType;
  /** Containers of the sandbox but the one of its own id. */
  others: readonly Neighbor[];
}

/**
 * A path stands for the pod's namespace (`shareProcessNamespace`), or for that of one container (`kubectl debug --target`).
 * Engines write the process that we tell them of, which is the VMM for all of them, so the path does not say which. But in
 * a pod that shares its namespace no container has one of its own.
 *
 * @throws {KataError} FAILED_PRECONDITION: several containers may be meant, or none runs; UNIMPLEMENTED where there is no
 * pod, for then it is a process of the host.
 */
export function pidNamespaceOf(spec: Spec, { id, type, others }: PidNamespaceOptions): PidNamespace {
  const path = spec.linux?.namespaces?.find((namespace) => namespace.type === "pid")?.path ?? "";
  if (path === "") return { kind: "own" };
  const refuse = (why: string) => `Cannot join container "${id}" to the process namespace at "${path}": ${why}`;
  if (type !== "pod_container") {
    throw new KataError("UNIMPLEMENTED", refuse("it is the host's, and the container is in a virtual machine"));
  }
  const apart = others.filter(({ pidNamespace }) => pidNamespace.kind === "own");
  if (apart.length === 0) return { kind: "pod" };
  const [target, ...more] = apart.filter(({ status }) => status === "running" || status === "paused");
  if (target === undefined) throw new KataError("FAILED_PRECONDITION", refuse("no container with one of its own runs"));
  if (more.length === 0) return { kind: "container", id: target.id };
  const names = [target, ...more].map((container) => `"${container.id}"`).join(", ");
  const why =
    `it may be that of ${names}, which engines do not tell apart; in a pod that shares its namespace all is seen`;
  throw new KataError("FAILED_PRECONDITION", refuse(why));
}
