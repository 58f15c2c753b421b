/** The daemons that serve a VM's shared directories. @module */
import type { Config } from "../../config/schema.ts";
import type { Device, ShareFsDevice } from "../device.ts";
import type { Helpers } from "../common/helpers.ts";
import type { HypervisorOptions } from "../hypervisor.ts";
import { outputOf } from "../common/process.ts";
import { startVirtiofsd, virtiofsdKind } from "../common/virtiofsd.ts";
import { vmFiles } from "./plan.ts";

export interface SharesOptions extends Pick<HypervisorOptions, "runDir" | "log" | "cgroupProcs"> {
  config: Config;
  /** Gets the daemons. */
  helpers: Helpers;
}

/** Starts a daemon for each shared directory among the devices, with a socket that listens when this returns. */
export async function startShares(options: SharesOptions, devices: readonly Device[]): Promise<void> {
  const shares = devices.filter((device) => device.kind === "shareFs");
  if (shares.length === 0) return;
  const { config: { hypervisor: config }, runDir, helpers, log, cgroupProcs } = options;
  const kind = virtiofsdKind(await outputOf(config.virtio_fs_daemon, ["--version"]));
  for (const share of shares) {
    const socket = vmFiles(runDir).share(share.id);
    const name = shareDaemonName(share);
    helpers.add(startVirtiofsd({ ...{ name, runDir, log, cgroupProcs, config, socket, kind }, source: share.source }));
  }
}

export function shareDaemonName({ id }: Pick<ShareFsDevice, "id">): string {
  return `virtiofsd-${id}`;
}
