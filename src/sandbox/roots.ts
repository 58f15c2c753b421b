/** Where sandboxes keep their files on the host. @module */

export interface SandboxRoots {
  /** Sockets, logs and the state of each sandbox. */
  run: string;
  /** The directory that each sandbox shares with its guest. */
  shared: string;
}

export const DEFAULT_ROOTS: SandboxRoots = {
  run: "/run/kata",
  shared: "/run/kata-containers/shared/sandboxes",
};
