/** The daemons that serve a VM's shared directories. @module */
import type { Device, ShareFsDevice } from "../device.ts";
import type { Daemons } from "../process/daemons.ts";
import type { HypervisorOptions } from "../hypervisor.ts";
import type { VmConfig } from "../vm_config.ts";
import { warnOfFewFiles } from "./remembered_files.ts";
import { startVirtiofsd, type VirtiofsdTable } from "./virtiofsd.ts";
import { findVirtiofsd } from "./virtiofsd_program.ts";
import { vmFiles } from "./vm_files.ts";

export interface SharesOptions extends Pick<HypervisorOptions, "runDir" | "log"> {
  config: VirtiofsdTable;
  vm: Pick<VmConfig, "cgroupProcs">;
  /** Gets the daemons. */
  daemons: Daemons;
}

/** Starts a daemon for each shared directory among the devices, with a socket that listens when this returns. */
export async function startShares(options: SharesOptions, devices: readonly Device[]): Promise<void> {
  const shares = devices.filter((device) => device.kind === "shareFs");
  if (shares.length === 0) return;
  const { config, vm: { cgroupProcs }, runDir, daemons, log } = options;
  const program = await findVirtiofsd({ config, log });
  warnOfFewFiles(log);
  for (const share of shares) {
    const socket = vmFiles(runDir).share(share.id);
    const name = shareDaemonName(share);
    daemons.add(
      startVirtiofsd({ ...{ name, runDir, log, cgroupProcs, config, socket, program }, source: share.source }),
    );
  }
}

export function shareDaemonName({ id }: Pick<ShareFsDevice, "id">): string {
  return `virtiofsd-${id}`;
}
