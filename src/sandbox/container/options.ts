/** Options of a container in a sandbox. @module */
import type { Logger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import type { Process as ProcessSpec, Spec } from "../../oci/spec/spec.ts";
import type { RootfsMount } from "../../resources/rootfs/rootfs.ts";
import type { SharedDirectory } from "../../resources/share_fs.ts";
import type { ContainerType } from "../../agent_api/names.ts";
import type { Stdio } from "./stdio.ts";

export interface ContainerOptions {
  id: string;
  type: ContainerType;
  /** Directory on the host. */
  bundle: string;
  spec: Spec;
  rootfs: readonly RootfsMount[];
  terminal: boolean;
  /** Taken over, also when the creation fails. */
  stdio: Stdio;
}

export interface ExecOptions {
  execId: string;
  process: ProcessSpec;
  terminal: boolean;
  /** Taken over, also when the call fails. */
  stdio: Stdio;
}

/** The parts of its sandbox that a container uses. */
export interface ContainerContext {
  sandboxId: string;
  config: Config;
  share: SharedDirectory;
  log: Logger;
}
