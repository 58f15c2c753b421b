/** Devices that come and go while the VM runs. @module */
import { Mutex } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Fd } from "../../linux/io/fd.ts";
import type { BlockDevice, Device, GuestAddress, NetDevice, ShareFsDevice } from "../device.ts";
import type { PcieTopology } from "../common/topology.ts";
import { BackEnds, type BackEndsOptions } from "./back_ends.ts";
import { UndoableCommands } from "./qmp/undoable_commands.ts";
import * as objects from "./device_objects.ts";
import { jsonProps, type Props } from "./props.ts";

/** Ids on the one SCSI controller. */
const SCSI_IDS = 256;

export interface HotplugOptions extends BackEndsOptions {
  bus: PcieTopology;
  log: Logger;
  /** Devices that are there from the start. */
  cold?: readonly Device[] | undefined;
  /** Whether a disk's path is a block device of the host. */
  isHostDevice?: (path: string) => boolean;
}

interface Plugged {
  device: Device;
  address: GuestAddress;
  /** Of a disk: the descriptor that QEMU opened it by. */
  fdSet?: number;
}

type Added = Omit<Plugged, "device">;

/** Plugs and unplugs, one device at a time. */
export class QemuHotplug {
  readonly #options: HotplugOptions & Required<Pick<HotplugOptions, "isHostDevice">>;
  readonly #backEnds: BackEnds;
  readonly #plugged = new Map<string, Plugged>();
  readonly #turn = new Mutex();

  constructor(options: HotplugOptions) {
    this.#options = { isHostDevice: (path) => Deno.statSync(path).isBlockDevice === true, ...options };
    this.#backEnds = new BackEnds(options);
  }

  /** Where the guest finds a device, plugged or there from the start. */
  address(id: string): GuestAddress | undefined {
    const { bus, cold = [] } = this.#options;
    const plugged = this.#plugged.get(id);
    if (plugged !== undefined) return plugged.address;
    const share = cold.find((device) => device.id === id && device.kind === "shareFs");
    if (share?.kind === "shareFs") return { bus: "tag", tag: share.tag };
    const path = bus.path(id);
    return path === undefined ? undefined : { bus: "pci", path };
  }

  /** @throws One line naming the device; nothing of it is left in QEMU (B21). */
  async plug(device: Device, signal: AbortSignal): Promise<GuestAddress> {
    using _turn = await this.#turn.lock();
    const { id, kind } = device;
    if (this.address(id) !== undefined) throw new KataError("ALREADY_EXISTS", `Cannot plug "${id}" twice`);
    try {
      const added = await this.#plugKind(device, signal);
      this.#plugged.set(id, { device, ...added });
      this.#options.log.info(`Plugged ${kind} "${id}"`, { address: added.address });
      return added.address;
    } catch (cause) {
      throw new Error(`Cannot plug ${kind} "${id}"`, { cause });
    }
  }

  /**
   * Takes a device out: asks the guest, waits until it let go, then removes the back end (B22). The device is forgotten
   * even if the last step fails.
   */
  async unplug(id: string, signal: AbortSignal): Promise<void> {
    using _turn = await this.#turn.lock();
    const plugged = this.#plugged.get(id);
    if (plugged === undefined) throw new KataError("NOT_FOUND", `Cannot unplug "${id}": it was not plugged`);
    const { device } = plugged;
    try {
      await this.#removeFrontEnd(id, signal);
      this.#forget(id);
      await this.#backEnds.remove(device, plugged);
    } catch (cause) {
      throw new Error(`Cannot unplug ${device.kind} "${id}"`, { cause });
    }
    this.#options.log.info(`Unplugged ${device.kind} "${id}"`);
  }

  #plugKind(device: Device, signal: AbortSignal): Promise<Added> {
    switch (device.kind) {
      case "block":
        return this.#plugBlock(device, signal);
      case "net":
        return this.#plugNet(device, signal);
      case "shareFs":
        return this.#plugShare(device, signal);
    }
  }

  async #plugBlock(disk: BlockDevice, signal: AbortSignal): Promise<Added> {
    const { config, qmp, isHostDevice } = this.#options;
    await using commands = new UndoableCommands(qmp, signal);
    const fdSet = await this.#backEnds.sendDisk(disk, commands);
    const options = { config, isHostDevice: isHostDevice(disk.path), fdSet };
    const { frontEnd, address } = this.#blockFrontEnd(disk, { options, commands });
    await this.#backEnds.addNode(disk, { options, commands });
    await this.#addFrontEnd(frontEnd, commands);
    commands.keep();
    return { address, fdSet };
  }

  #blockFrontEnd(
    disk: BlockDevice,
    { options, commands }: { options: objects.BlockOptions; commands: UndoableCommands },
  ): { frontEnd: objects.DeviceObjects; address: GuestAddress } {
    if (options.config.block_device_driver === "virtio-scsi") {
      const address = { id: this.#freeScsiId(), lun: 0 };
      return { frontEnd: objects.scsiDisk(disk, { ...options, address }), address: { bus: "scsi", ...address } };
    }
    const { slot, address } = this.#takePort(disk.id, commands);
    return { frontEnd: objects.virtioBlk(disk, { ...options, slot }), address };
  }

  async #plugNet(card: NetDevice, signal: AbortSignal): Promise<Added> {
    using _fds = ownerOf([...card.tapFds, ...card.vhostFds]);
    await using commands = new UndoableCommands(this.#options.qmp, signal);
    const { slot, address } = this.#takePort(card.id, commands);
    const devices = await this.#backEnds.addCard(card, { slot, commands });
    await this.#addFrontEnd({ devices }, commands);
    commands.keep();
    return { address };
  }

  /** Adds a shared directory, whose daemon must listen already. */
  async #plugShare(share: ShareFsDevice, signal: AbortSignal): Promise<Added> {
    await using commands = new UndoableCommands(this.#options.qmp, signal);
    const { slot } = this.#takePort(share.id, commands);
    const devices = await this.#backEnds.addShare(share, { slot, commands });
    await this.#addFrontEnd({ devices }, commands);
    commands.keep();
    return { address: { bus: "tag", tag: share.tag } };
  }

  #takePort(id: string, commands: UndoableCommands): { slot: objects.Slot; address: GuestAddress } {
    const { bus } = this.#options;
    const port = bus.take(id);
    commands.defer(() => bus.release(id));
    return { slot: objects.onPort(port.id), address: { bus: "pci", path: bus.path(id)! } };
  }

  async #addFrontEnd({ devices }: objects.DeviceObjects, commands: UndoableCommands): Promise<void> {
    for (const device of devices) {
      const undo = (signal: AbortSignal) => this.#removeFrontEnd(String(device.id), signal);
      await commands.run({ command: "device_add", args: jsonProps(device as Props), undo });
    }
  }

  async #removeFrontEnd(id: string, signal: AbortSignal): Promise<void> {
    const { qmp } = this.#options;
    // QEMU answers device_del before the guest let go.
    const deleted = qmp.waitFor(({ event, data }) => event === "DEVICE_DELETED" && data.device === id, signal);
    try {
      await Promise.all([qmp.execute("device_del", { id }, { signal }), deleted]);
    } catch (error) {
      if (signal.aborted) throw new Error("the guest did not let go of it", { cause: error });
      throw error;
    }
  }

  #forget(id: string): void {
    this.#plugged.delete(id);
    this.#options.bus.release(id);
  }

  #freeScsiId(): number {
    const taken = new Set([...this.#plugged.values()].map(({ address }) => address.bus === "scsi" ? address.id : -1));
    for (let id = 0; id < SCSI_IDS; id++) if (!taken.has(id)) return id;
    throw new RangeError(`all ${SCSI_IDS} SCSI ids are in use`);
  }
}

/** QEMU has copies of its own by the end of the scope. */
function ownerOf(fds: readonly Fd[]): DisposableStack {
  const stack = new DisposableStack();
  for (const fd of fds) stack.use(fd);
  return stack;
}
