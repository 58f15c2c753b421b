/** Options of a sandbox. @module */
import type { ContainerType } from "../agent_api/names.ts";
import type { Logger } from "../base/log.ts";
import type { Config } from "../config/schema.ts";
import type { createHypervisor } from "../hypervisor/create.ts";
import type { Spec } from "../oci/spec/spec.ts";
import type { SandboxState } from "./persist.ts";
import type { SandboxRoots } from "./roots.ts";

export interface SandboxOptions {
  id: string;
  config: Config;
  log: Logger;
  roots?: SandboxRoots;
  /** Of the container that the sandbox is made for: network, size and cgroups follow from it. */
  spec: Spec;
  type: ContainerType;
  /** Noted in the state, for the clean-up after a crash. */
  owner: Pick<SandboxState, "address" | "namespace">;
  /** The guest's kernel killed something in this container. */
  onOutOfMemory?: (containerId: string) => void;
  /** Makes the VM; tests put something else there. */
  makeHypervisor?: typeof createHypervisor;
}
