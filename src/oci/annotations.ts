/**
 * What the caller of a runtime says about a container by annotations: each engine has keys of its own.
 *
 * @module
 */
import type { Spec } from "./spec.ts";

/** A pod's sandbox, a container in a pod, or a container that is alone (docker, nerdctl, podman, ctr). */
export type ContainerType = "pod_sandbox" | "pod_container" | "single_container";

interface Engine {
  type: string;
  sandboxValue: string;
  sandboxId: string;
  containerName?: string;
  sandboxName?: string;
  sandboxNamespace?: string;
  imageName?: string;
}

/** Looked up in this order. */
const ENGINES: readonly Engine[] = [
  {
    type: "io.kubernetes.cri-o.ContainerType",
    sandboxValue: "sandbox",
    sandboxId: "io.kubernetes.cri-o.SandboxID",
    containerName: "io.kubernetes.cri-o.ContainerName",
    sandboxName: "io.kubernetes.cri-o.KubeName",
    sandboxNamespace: "io.kubernetes.cri-o.Namespace",
    imageName: "io.kubernetes.cri-o.ImageName",
  },
  {
    type: "io.kubernetes.cri.container-type",
    sandboxValue: "sandbox",
    sandboxId: "io.kubernetes.cri.sandbox-id",
    containerName: "io.kubernetes.cri.container-name",
    sandboxName: "io.kubernetes.cri.sandbox-name",
    sandboxNamespace: "io.kubernetes.cri.sandbox-namespace",
    imageName: "io.kubernetes.cri.image-name",
  },
  { type: "io.kubernetes.docker.type", sandboxValue: "podsandbox", sandboxId: "io.kubernetes.sandbox.id" },
];

/** Written by Kata's runtime, read by the agent and the policy. */
export const KATA_CONTAINER_TYPE = "io.katacontainers.pkg.oci.container_type";
export const KATA_BUNDLE_PATH = "io.katacontainers.pkg.oci.bundle_path";

/** What a container is in its engine's eyes. */
export interface ContainerIdentity {
  type: ContainerType;
  /** The sandbox it belongs to: itself, unless it is a container in a pod. */
  sandboxId: string;
  containerName?: string;
  sandboxName?: string;
  sandboxNamespace?: string;
  imageName?: string;
}

/**
 * Reads the annotations of whichever engine wrote them.
 *
 * @param id The container's own.
 * @throws {TypeError} A container in a pod does not say in which.
 */
export function identify(annotations: Spec["annotations"] = {}, id: string): ContainerIdentity {
  const engine = ENGINES.find(({ type }) => annotations[type]);
  if (engine === undefined) return { type: "single_container", sandboxId: id };
  const isSandbox = annotations[engine.type] === engine.sandboxValue;
  const sandboxId = isSandbox ? id : annotations[engine.sandboxId];
  if (!sandboxId) {
    throw new TypeError(`Cannot find the pod of container "${id}": annotation "${engine.sandboxId}" is missing`);
  }
  return { type: isSandbox ? "pod_sandbox" : "pod_container", sandboxId, ...names(engine, annotations) };
}

const NAMES = ["containerName", "sandboxName", "sandboxNamespace", "imageName"] as const;

function names(engine: Engine, annotations: Record<string, string>): Partial<Record<typeof NAMES[number], string>> {
  return Object.fromEntries(NAMES.flatMap((name) => {
    const value = annotations[engine[name] ?? ""];
    return value ? [[name, value]] : [];
  }));
}
