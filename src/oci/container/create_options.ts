/** Options and parts of a container that is being made. @module */
import type { Logger } from "../../base/log.ts";
import type { CgroupLayout } from "../../linux/cgroup/cgroup.ts";
import type { Cgroup } from "../cgroup/cgroup.ts";
import type { Stdio } from "../init/child_setup.ts";
import type { ContainerProcess } from "./process.ts";
import type { Patience } from "../init/held.ts";
import type { GuardSource } from "../mount/plan.ts";
import type { Spec } from "../spec/spec.ts";
import type { StateDirectory, StoredState } from "./state.ts";

/** Where containers live: values, so that tests have a place of their own. */
export interface Home {
  /** One directory per container is made in it, mode 0700. */
  stateRoot: string;
  cgroups: CgroupLayout;
  /** systemd makes the cgroup of a new container. An existing container has this in its saved state. */
  systemd?: boolean;
  /** A new container whose cgroup we may not make goes without one, unless its configuration names it. */
  rootless?: boolean;
  log?: Logger;
  /** With processes that others in their pid namespace can hold. */
  patience?: Patience;
}

/** A container to be made. */
export interface CreateOptions extends Home {
  /** Names the state directory as well: see `base/id.ts`. */
  id: string;
  /** Absolute. */
  bundle: string;
  spec: Spec;
  stdio?: Stdio;
  /** The whole machine is the container's sandbox, as a guest is: parameters of shared namespaces may be set too. */
  ownsMachine?: boolean;
  /** The root of the machine is an initramfs, which pivot_root(2) refuses. */
  noPivotRoot?: boolean;
  /** Share our session keyring, where the kernel's limit on keyrings is tight. */
  noNewKeyring?: boolean;
  /** Descriptors from 3 on that the container inherits. */
  preserveFds?: number;
  /** Lines that it writes to its terminal end as it writes them, for a caller that shows them elsewhere than on a screen. */
  keepsLineEnds?: boolean;
  /** Called once the state directory is there, with its path: what mounts take from it can be made now. */
  prepare?: (stateDirectory: string) => void;
  /** The first process outlives us: see {@linkcode ContainerProcess}. */
  detached?: boolean;
  /** Sources of bind mounts are opened by what it says. Without it they are paths as any other. */
  guardSource?: GuardSource;
}

/** A container in this program's hands. */
export interface ContainerParts {
  home: Home;
  directory: StateDirectory;
  stored: StoredState;
  cgroup: Cgroup;
  /** Undefined if another program made it. */
  init: ContainerProcess | undefined;
}

/** The container whose first process it is. */
export interface ContainerDraft {
  options: CreateOptions;
  stored: StoredState;
  cgroup: Cgroup;
  directory: StateDirectory;
}
