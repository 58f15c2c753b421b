/** Bringing a VM up: its channel, its daemons, QEMU and the QMP connection, each undone if a later one fails. @module */
import { emulatorOf } from "../../config/emulator.ts";
import type { Logger } from "../../base/log.ts";
import { Fd, O_RDWR } from "../../linux/io/fd.ts";
import { socketPair } from "../../linux/net/socket.ts";
import type { AgentChannel } from "../common/agent_channel.ts";
import { isBlockDevice } from "../common/disks.ts";
import { descriptorsOf } from "../device.ts";
import { clockParams, startClockMeasurement } from "../common/guest_clock.ts";
import { GuestConsole } from "../process/guest_console.ts";
import { Daemons } from "../process/daemons.ts";

import type { HypervisorOptions } from "../hypervisor.ts";
import { VmProcess } from "../process/vm_process.ts";
import { templateFiles } from "../template.ts";
import { startShares } from "../common/shares.ts";
import { removeVmFiles, vmFiles } from "../common/vm_files.ts";
import { chooseUser, type VmmUser } from "../process/vmm_user.ts";
import { VmWatch } from "../process/watch.ts";
import type { QemuTable, VmConfig } from "../vm_config.ts";
import { qemuArgs } from "./args.ts";
import { type Accelerator, chooseAccelerator } from "./host.ts";
import { findFirmware, machineKind } from "./machine_kinds.ts";
import { CONSOLE_FD, type Plan, planMachine, QMP_FD } from "./plan.ts";
import type { Qmp } from "./qmp/qmp.ts";
import { openQmp } from "./qmp/socket.ts";
import { type OpenChannel, openChannel } from "./open_channel.ts";
import { planTemplate } from "./template_machine.ts";

/** QEMU and the connection to it. Disposing it ends both. */
export interface QemuSession extends AsyncDisposable {
  readonly qemu: VmProcess;
  readonly qmp: Qmp;
  readonly watch: VmWatch;
  readonly console: GuestConsole;
}

/** A VM that runs. Disposing it ends everything it consists of and removes its files. */
export interface RunningVm extends QemuSession {
  readonly daemons: Daemons;
  readonly channel: AgentChannel;
  readonly plan: Plan;
}

/** Options of `launch`, as the hypervisor got them. */
export interface LaunchOptions extends HypervisorOptions {
  config: QemuTable;
  vm: VmConfig;
  signal: AbortSignal;
}

/**
 * Starts QEMU and all that it depends on.
 *
 * @throws One line naming what failed, with QEMU's last words if it died (B46); nothing is left behind.
 */
export async function launch(options: LaunchOptions): Promise<RunningVm> {
  const { config, vm: { devices }, runDir } = options;
  await using undo = new AsyncDisposableStack();
  for (const fd of devices.flatMap(descriptorsOf)) undo.use(fd);
  const accelerator = chooseAccelerator(config, options);
  const clock = startClockMeasurement({ accelerator, architecture: machineKind(config).architecture });
  undo.defer(() => removeVmFiles(runDir));
  const daemons = undo.use(new Daemons());
  const open = await openChannel(options, { daemons, undo });
  await startShares({ ...options, daemons }, devices);
  const plan = makePlan({ ...options, accelerator, clockParams: await clockParams(clock) }, open);
  const session = undo.use(await startSession(options, { plan, daemons }));
  const owned = undo.move();
  return { ...session, daemons, channel: open.channel, plan, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Starts QEMU and connects to it. */
export async function startSession(
  options: LaunchOptions,
  { plan, daemons }: { plan: Plan; daemons: Daemons },
): Promise<QemuSession> {
  const { log, signal } = options;
  await using undo = new AsyncDisposableStack();
  const { qemu, console, connection } = startQemu(options, plan);
  undo.use(qemu);
  const watch = new VmWatch({ monitor: qemu, daemons, console, log });
  const qmp = undo.use(await openQmp(connection, { signal: AbortSignal.any([signal, watch.ended]) }));
  watch.follow(tellOfGuest(qmp, { watch, log }));
  const owned = undo.move();
  return { qemu, qmp, watch, console, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Learns from QEMU why it is about to end. */
async function tellOfGuest(qmp: Qmp, { watch, log }: { watch: VmWatch; log: Logger }): Promise<void> {
  for await (const { event, data } of qmp.events()) {
    log.debug(`QEMU reports ${event}`, data);
    if (event !== "SHUTDOWN") continue;
    const isReset = data.reason === "guest-reset";
    watch.guestAsked(isReset ? "reset" : data.reason === "guest-shutdown" ? "power off" : "nothing");
  }
}

interface Decided extends LaunchOptions {
  accelerator: Accelerator;
  clockParams: readonly string[];
}

function makePlan(options: Decided, { channel, vhostVsock, hostKey }: OpenChannel): Plan {
  const { template } = options;
  if (template?.kind === "make") {
    return planTemplate(options, { memoryFile: () => Fd.open(templateFiles(template.directory).memory, O_RDWR) });
  }
  return planMachine({
    ...options,
    firmware: findFirmware(options.config, emulatorOf(options.config)),
    channel,
    vhostVsock,
    hostKey,
    isHostDevice: isBlockDevice,
  });
}

interface StartedQemu {
  qemu: VmProcess;
  console: GuestConsole;
  /** Our end of the connection for QMP; the caller's. */
  connection: Fd;
}

/** Starts QEMU with what it inherits, and nothing else of ours. */
function startQemu(options: LaunchOptions, plan: Plan): StartedQemu {
  const { config, vm, runDir, log, template } = options;
  using undo = new DisposableStack();
  using inherited = new DisposableStack();
  const [connection, theirs] = socketPair();
  undo.use(connection);
  const file = vm.console.hasFile ? vmFiles(runDir).console : undefined;
  const { console, writer } = GuestConsole.open({ file });
  undo.use(console);
  const ends = [{ child: QMP_FD, fd: theirs }, { child: CONSOLE_FD, fd: writer }];
  for (const { fd } of ends) inherited.use(fd);
  const user = qemuUser(options, plan);
  if (user !== undefined && template?.kind === "make") giveMemory(template.directory, user);
  const fds = [...ends, ...plan.fds.map(({ child, open }) => ({ child, fd: inherited.use(open()) }))];
  const qemu = VmProcess.start({
    ...{ runDir, log, fds, cgroupProcs: vm.cgroupProcs, netns: vm.netns },
    name: "qemu",
    path: emulatorOf(config),
    args: qemuArgs(plan.machine),
    user,
    rights: "none",
  });
  undo.move();
  return { qemu, console, connection };
}

/** @returns undefined if QEMU has to be root, which the log then explains. */
function qemuUser({ config, vm, log }: LaunchOptions, { machine }: Plan): VmmUser | undefined {
  if (!config.own_user) return undefined;
  const user = chooseUser({
    program: emulatorOf(config),
    reads: [machine.firmware, config.entropy_source],
    opened: [vm.kernel, vm.initrd ?? ""],
    fills: [config.file_mem_backend],
    device: machine.accelerator === "kvm" ? "/dev/kvm" : undefined,
  });
  if (typeof user !== "string") return user;
  log.info("QEMU runs as root, without capabilities", { reason: user });
  return undefined;
}

/** QEMU opens the memory of a template anew, by its descriptor. All else in the directory stays root's. */
function giveMemory(directory: string, { uid, gid }: VmmUser): void {
  Deno.chownSync(templateFiles(directory).memory, uid, gid);
}
