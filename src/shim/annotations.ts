/**
 * Annotations by which the caller of a runtime identifies a container: each engine has keys of its own.
 *
 * @module
 */
import { quoted } from "../base/text.ts";
import { KataError } from "../base/error.ts";
import { verifyId } from "../base/id.ts";
import type { ContainerType } from "../agent_api/names.ts";
import type { Spec } from "../oci/spec/spec.ts";

interface Engine {
  type: string;
  sandboxValue: string;
  sandboxId: string;
  containerName?: string;
  sandboxName?: string;
  sandboxNamespace?: string;
  imageName?: string;
}

/** Every engine's other kind. */
const CONTAINER_VALUE = "container";

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

/** Kind and pod of a container, as its engine states them. */
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
 * A user who makes pods may set annotations of his own, so that some of another engine may stand beside the true ones:
 * all must say the same.
 *
 * @param id The container's own.
 * @throws {KataError} INVALID_ARGUMENT: a container in a pod does not say in which, or by what can be no id; a kind is
 * unknown; two engines contradict each other.
 */
export function identify(annotations: Spec["annotations"] = {}, id: string): ContainerIdentity {
  const engines = ENGINES.filter(({ type }) => annotations[type]);
  const statements = engines.map((engine) => ({ engine, identity: identifyBy(engine, { annotations, id }) }));
  const [first, ...others] = statements;
  if (first === undefined) return { type: "single_container", sandboxId: id };
  for (const other of others) {
    const key = contradiction(first, other);
    if (key !== undefined) {
      throw invalid(id, `annotations "${first.engine[key]}" and "${other.engine[key]}" contradict each other`);
    }
  }
  return first.identity;
}

function identifyBy(
  engine: Engine,
  { annotations, id }: { annotations: Record<string, string>; id: string },
): ContainerIdentity {
  const kind = annotations[engine.type];
  if (kind === engine.sandboxValue) return { type: "pod_sandbox", sandboxId: id, ...names(engine, annotations) };
  if (kind !== CONTAINER_VALUE) {
    throw invalid(
      id,
      `annotation "${engine.type}" is ${quoted(kind)}, not "${engine.sandboxValue}" or "${CONTAINER_VALUE}"`,
    );
  }
  const sandboxId = annotations[engine.sandboxId];
  if (!sandboxId) throw invalid(id, `annotation "${engine.sandboxId}" is missing`);
  return { type: "pod_container", sandboxId: verifyId(sandboxId, "sandbox"), ...names(engine, annotations) };
}

const NAMES = ["containerName", "sandboxName", "sandboxNamespace", "imageName"] as const;

function names(engine: Engine, annotations: Record<string, string>): Partial<Record<typeof NAMES[number], string>> {
  return Object.fromEntries(NAMES.flatMap((name) => {
    const value = annotations[engine[name] ?? ""];
    return value ? [[name, value]] : [];
  }));
}

/** Statement of one engine. */
interface Statement {
  engine: Engine;
  identity: ContainerIdentity;
}

function contradiction(one: Statement, other: Statement): "type" | "sandboxId" | typeof NAMES[number] | undefined {
  return (["type", "sandboxId", ...NAMES] as const).find((name) => {
    const [says, otherSays] = [one.identity[name], other.identity[name]];
    return says !== undefined && otherSays !== undefined && says !== otherSays;
  });
}

function invalid(id: string, why: string): KataError {
  return new KataError("INVALID_ARGUMENT", `Cannot find the pod of container "${id}": ${why}`);
}
