/** Starting a VM from a template: its memory is copied, its state loaded, and what the sandbox has plugged in. @module */
import { Fd, memfd, O_RDONLY, setFileSize } from "../../linux/io/fd.ts";
import { copySparse, fileSize } from "../../linux/fs/sparse_copy.ts";
import { openVhostNet } from "../../linux/net/tap.ts";
import { fittingTemplate, type Template, templateFiles } from "../template.ts";
import { descriptorsOf, type Device } from "../device.ts";
import { QemuHotplug } from "./hotplug.ts";
import { Daemons } from "../process/daemons.ts";
import { startShares } from "../common/shares.ts";
import { removeVmFiles } from "../common/vm_files.ts";
import { type LaunchOptions, type RunningVm, startSession } from "./launch.ts";
import { loadState } from "./qmp/migrate.ts";
import { planTemplate, serialChannel, templateIdentity, whyNoTemplate } from "./template_machine.ts";

/** A VM with what plugs devices into it. */
export type PluggableVm = RunningVm & { hotplug: QemuHotplug };

/**
 * Starts from a template if one fits.
 *
 * @param use Gets the VM, and may refuse it by throwing.
 * @returns Whether it was used; if not, the machine must boot, for which the devices' descriptors are still open, and the
 * log says why.
 */
export async function tryRestore(
  options: LaunchOptions,
  use: (vm: PluggableVm) => Promise<void>,
): Promise<boolean> {
  const { vm, log, signal } = options;
  const template = await findTemplate(options);
  if (template === undefined) return false;
  await using undo = new AsyncDisposableStack();
  try {
    await use(
      undo.use(await restore({ ...options, vm: { ...vm, devices: withOwnDescriptors(vm.devices) } }, template)),
    );
  } catch (error) {
    await undo.disposeAsync();
    signal.throwIfAborted();
    log.warning("Cannot start from a template, so the machine boots", { template: template.id, error });
    return false;
  }
  undo.move();
  for (const fd of vm.devices.flatMap(descriptorsOf)) fd[Symbol.dispose]();
  log.info("Started from a template", { template: template.id });
  return true;
}

async function findTemplate(options: LaunchOptions): Promise<Template | undefined> {
  const { config, vm, log, template } = options;
  if (template?.kind !== "use") return undefined;
  const obstacle = whyNoTemplate(config, vm);
  const found = obstacle ?? await fittingTemplate(template.root, templateIdentity(config, vm));
  if (typeof found !== "string") return found;
  log.info("Booting instead of starting from a template", { reason: found });
  return undefined;
}

/** A failed attempt must leave the caller's descriptors for the boot: vhost-net belongs to the first QEMU that uses it. */
function withOwnDescriptors(devices: readonly Device[]): Device[] {
  using undo = new DisposableStack();
  const own = devices.map((device) => {
    const copy = copyDescriptors(device);
    for (const fd of descriptorsOf(copy)) undo.use(fd);
    return copy;
  });
  undo.move();
  return own;
}

/** @throws {ErrnoError} The host has no vhost-net any more. */
function copyDescriptors(device: Device): Device {
  if (device.kind !== "net") return device;
  const { tapFds, vhostFds } = device;
  const { fds, obstacle } = openVhostNet(vhostFds.length);
  if (obstacle !== undefined) throw obstacle;
  return { ...device, tapFds: tapFds.map((fd) => fd.dup()), vhostFds: fds };
}

/** @returns The VM, running, with all its devices. @throws {Error} Nothing is left; the devices' descriptors are closed. */
async function restore(options: LaunchOptions, template: Template): Promise<PluggableVm> {
  const { vm: { devices }, config, log, runDir, signal } = options;
  await using undo = new AsyncDisposableStack();
  for (const fd of devices.flatMap(descriptorsOf)) undo.use(fd);
  const vm = undo.use(await startStopped(options, template));
  const hotplug = new QemuHotplug({ qmp: vm.qmp, bus: vm.plan.bus, config, runDir, log });
  const alive = AbortSignal.any([signal, vm.watch.ended]);
  // The guest finds all of them at once when it goes on.
  for (const device of devices) await hotplug.plug(device, alive);
  await vm.qmp.execute("cont", {}, { signal: alive });
  const owned = undo.move();
  return { ...vm, hotplug, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/**
 * QEMU with the template's state, not running. The memory is copied while QEMU and virtiofsd start: a private mapping of
 * the template's file would need no copy, but the daemons that share the memory would then write into the template. QEMU
 * could also load it as a part of the state, which takes four times as long, and nothing else can be done meanwhile.
 */
async function startStopped(options: LaunchOptions, template: Template): Promise<RunningVm> {
  const { vm: { cgroupProcs, devices }, runDir, signal } = options;
  const files = templateFiles(template.directory);
  using source = Fd.open(files.memory, O_RDONLY);
  using state = Fd.open(files.state, O_RDONLY);
  using memory = memfd("kata-memory");
  setFileSize(memory, fileSize(source));
  const copying = copySparse({ source, target: memory }, { cgroupProcs });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => removeVmFiles(runDir));
  undo.defer(() => copying.catch(() => {})); // it still needs the descriptors
  const inherited = undo.use(memory.dup());
  const plan = planTemplate(options, { memoryFile: () => inherited, incoming: true });
  const daemons = undo.use(new Daemons());
  const starting = startSession(options, { plan, daemons });
  const shares = startShares({ ...options, daemons }, devices);
  // All have an end before the first failure is dealt with, so that nothing appears after the clean-up.
  const [started] = await Promise.allSettled([starting, shares, copying]);
  if (started.status === "fulfilled") undo.use(started.value);
  const [session] = await Promise.all([starting, shares, copying]);
  await loadState(session.qmp, state, AbortSignal.any([signal, session.watch.ended]));
  const owned = undo.move();
  return {
    ...session,
    daemons,
    plan,
    channel: serialChannel(runDir),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
