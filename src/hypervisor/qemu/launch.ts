/** Bringing a VM up: its channel, its helpers, QEMU and the monitor connection, each undone if a later one fails. @module */
import type { Config } from "../../config/schema.ts";
import type { Fd } from "../../linux/fd.ts";
import { probeKvm } from "../../linux/kvm.ts";
import { allocateGuestCid } from "../../linux/vsock.ts";
import { type AgentChannel, chooseTransport } from "../agent_channel.ts";
import type { ShareFsDevice } from "../device.ts";
import type { HypervisorOptions } from "../hypervisor.ts";
import { MonitorProcess, outputOf } from "../process.ts";
import { startVhostVsock } from "../vhost_vsock.ts";
import { startVirtiofsd, virtiofsdKind } from "../virtiofsd.ts";
import { qemuArgs } from "./args.ts";
import { type Plan, planMachine, vmFiles } from "./plan.ts";
import type { Qmp } from "./qmp.ts";
import { connectQmp } from "./qmp_socket.ts";
import { VmWatch } from "./watch.ts";

/** A VM that runs. Disposing it ends everything it consists of and removes its files. */
export interface RunningVm extends AsyncDisposable {
  readonly qemu: MonitorProcess;
  readonly helpers: readonly MonitorProcess[];
  readonly qmp: Qmp;
  readonly watch: VmWatch;
  readonly channel: AgentChannel;
  readonly plan: Plan;
}

/** What `launch` needs, as the hypervisor was given it. */
export interface LaunchOptions extends HypervisorOptions {
  config: Config;
  signal: AbortSignal;
}

/**
 * Starts QEMU and all that it depends on.
 *
 * @throws One line naming what failed, with QEMU's last words if it died (B46); nothing is left behind.
 */
export async function launch(options: LaunchOptions): Promise<RunningVm> {
  const { runDir, log, signal, devices = [] } = options;
  await using undo = new AsyncDisposableStack();
  for (const fd of devices.flatMap(inheritedBy)) undo.use(fd);
  undo.defer(() => removeFiles(runDir));

  const channel = await openChannel(options, undo);
  const shares = devices.filter((device) => device.kind === "shareFs");
  const helpers = [...channel.helpers, ...await startShares(options, { shares, undo })];
  const plan = makePlan(options, channel);
  const qemu = undo.use(startQemu(options, plan));
  const watch = new VmWatch({ qemu, helpers, consoleLog: plan.machine.consoleLog, log });
  const qmp = undo.use(
    await connectQmp(plan.machine.qmpSocket, { signal: AbortSignal.any([signal, watch.ended]) }),
  );
  watch.follow(qmp);
  const owned = undo.move();
  return {
    ...{ qemu, helpers, qmp, watch, plan },
    channel: channel.description,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function makePlan(options: LaunchOptions, channel: OpenChannel): Plan {
  return planMachine({
    ...options,
    devices: options.devices ?? [],
    accelerator: chooseAccelerator(options),
    firmware: findFirmware(options.config),
    channel: channel.description,
    vhostVsock: channel.vhostVsock,
    kernelParams: options.kernelParams ?? [],
    isHostDevice: (path) => Deno.statSync(path).isBlockDevice === true,
  });
}

function startQemu(options: LaunchOptions, { machine, fds }: Plan): MonitorProcess {
  const { config: { hypervisor }, netns } = options;
  const args = qemuArgs(machine);
  const qemu = MonitorProcess.start({
    ...processOptions(options),
    name: "qemu",
    path: hypervisor.path,
    args,
    fds,
    netns,
  });
  for (const { fd } of fds) fd[Symbol.dispose]();
  return qemu;
}

function processOptions({ runDir, log, cgroupProcs }: LaunchOptions) {
  return { runDir, log, cgroupProcs };
}

/** Descriptors that the caller handed over with a device. */
function inheritedBy(device: NonNullable<HypervisorOptions["devices"]>[number]): readonly Fd[] {
  return device.kind === "net" ? [...device.tapFds, ...device.vhostFds] : [];
}

interface OpenChannel {
  description: AgentChannel;
  helpers: readonly MonitorProcess[];
  vhostVsock?: Fd;
}

async function openChannel(options: LaunchOptions, undo: AsyncDisposableStack): Promise<OpenChannel> {
  const { config: { hypervisor }, runDir, signal } = options;
  const kind = chooseTransport(hypervisor, exists);
  switch (kind) {
    case "vsock": {
      const { fd, cid } = undo.use(allocateGuestCid());
      return { description: { kind, cid }, helpers: [], vhostVsock: fd };
    }
    case "hybrid-vsock": {
      const sockets = { socket: `${runDir}/vhost-vsock.sock`, hostSocket: `${runDir}/kata.hvsock` };
      const path = hypervisor.vhost_vsock_daemon;
      const daemon = undo.use(await startVhostVsock({ ...processOptions(options), ...sockets, path, signal }));
      return { description: { kind, ...sockets }, helpers: [daemon] };
    }
    case "virtio-serial":
      return { description: { kind, socket: `${runDir}/agent.sock` }, helpers: [] };
  }
}

async function startShares(
  options: LaunchOptions,
  { shares, undo }: { shares: readonly ShareFsDevice[]; undo: AsyncDisposableStack },
): Promise<MonitorProcess[]> {
  if (shares.length === 0) return [];
  const { config: { hypervisor }, runDir } = options;
  const kind = virtiofsdKind(await outputOf(hypervisor.virtio_fs_daemon, ["--version"]));
  return shares.map(({ id, source }) =>
    undo.use(startVirtiofsd({
      ...processOptions(options),
      name: shares.length === 1 ? "virtiofsd" : `virtiofsd-${id}`,
      config: hypervisor,
      source,
      socket: vmFiles(runDir).share(id),
      kind,
    }))
  );
}

/** @throws {Error} KVM was asked for by name and cannot be used. */
function chooseAccelerator({ config: { hypervisor }, log }: LaunchOptions): "kvm" | "tcg" {
  if (hypervisor.accelerator === "tcg") return "tcg";
  const kvm = probeKvm();
  if (kvm.usable) return "kvm";
  if (hypervisor.accelerator === "kvm") throw new Error(`Cannot use accelerator "kvm": ${kvm.reason}`);
  log.info("Using software emulation (TCG)", { reason: kvm.reason });
  return "tcg";
}

/** qboot starts a kernel without looking for disks and boot ROMs; QEMU brings it beside its other firmware. */
function findFirmware({ hypervisor }: Config): string {
  if (hypervisor.firmware !== "") return hypervisor.firmware;
  const prefix = hypervisor.path.replace(/\/bin\/[^/]*$/, "");
  const candidates = [`${prefix}/share/qemu/qboot.rom`, "/usr/share/qemu/qboot.rom"];
  return candidates.find(exists) ?? "";
}

/** Sockets and logs of ours; the directory itself is the caller's. */
function removeFiles(runDir: string): void {
  for (const { name } of Deno.readDirSync(runDir)) {
    if (OUR_FILES.test(name)) Deno.removeSync(`${runDir}/${name}`);
  }
}

const OUR_FILES = /^(qmp\.sock|agent\.sock|console\.log|virtiofsd-.*\.sock|vhost-vsock\.sock|kata\.hvsock)$/;

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
