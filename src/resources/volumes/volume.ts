/** Volumes: mounts of a specification as the guest gets them. @module */
import type { Storage } from "../../agent_api/storage.ts";
import { quoted } from "../../base/text.ts";
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import type { NodeKind } from "../../oci/mount/planned.ts";
import type { Mount } from "../../oci/spec/spec.ts";
import type { ContainerShare } from "../share_fs.ts";

export interface VolumeContext {
  config: Config;
  sandboxId: string;
  share: ContainerShare;
  /** Directory on the host, where relative sources start. */
  bundle: string;
  log?: Logger;
}

/** A mount for the guest; disposing it takes back what was done on the host. */
export interface Volume extends Disposable {
  readonly mount: Mount;
  /** Kind of the mount point; default: a directory. */
  readonly node?: NodeKind;
  /** Storages that the agent makes before the mount. */
  readonly storages?: readonly Storage[];
}

/** A mount that is the guest's own business. */
export function keep(mount: Mount, node: NodeKind = "directory"): Volume {
  return { mount, node, [Symbol.dispose]() {} };
}

/** The error for a mount that cannot be made. */
export function refuse({ source = "", destination }: Mount, why: string): KataError {
  return new KataError("UNIMPLEMENTED", `Cannot mount ${quoted(source)} on ${quoted(destination)}: ${why}`);
}
