/** Devices that come and go while the VM runs. @module */
import { Mutex } from "../../base/async.ts";
import { KataError } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { QemuConfig } from "../../config/schema.ts";
import type { Fd } from "../../linux/fd.ts";
import { connectUnix } from "../../linux/socket.ts";
import type { BlockDevice, Device, GuestAddress, NetDevice, ShareFsDevice } from "../device.ts";
import type { PcieTopology } from "../topology.ts";
import * as parts from "./parts.ts";
import { openDisk, vmFiles } from "./plan.ts";
import { jsonProps, type Props } from "./props.ts";
import type { Qmp } from "./qmp.ts";

const OPEN: Required<HotplugOptions>["open"] = { disk: openDisk, share: connectUnix };

/** Ids on the one SCSI controller. */
const SCSI_IDS = 256;

export interface HotplugOptions {
  qmp: Qmp;
  bus: PcieTopology;
  config: QemuConfig;
  /** Where daemons of shared directories listen. */
  runDir: string;
  log: Logger;
  /** Whether a disk's path is a block device of the host. */
  isHostDevice?: (path: string) => boolean;
  /** What gives QEMU the file of a disk, and the connection to a share's daemon. */
  open?: { disk(disk: BlockDevice): Fd; share(path: string): Fd };
}

interface Plugged {
  device: Device;
  address: GuestAddress;
  /** Of a disk: the descriptor that QEMU opened it by. */
  fdSet?: number;
}

type Added = Omit<Plugged, "device">;

/** Plugs and unplugs, one device at a time. */
export class Hotplug {
  readonly #options: Required<HotplugOptions>;
  readonly #plugged = new Map<string, Plugged>();
  readonly #turn = new Mutex();

  constructor(options: HotplugOptions) {
    this.#options = { isHostDevice: (path) => Deno.statSync(path).isBlockDevice === true, open: OPEN, ...options };
  }

  /** Where the guest finds a device, plugged or there from the start. */
  address(id: string): GuestAddress | undefined {
    const path = this.#options.bus.path(id);
    return this.#plugged.get(id)?.address ?? (path === undefined ? undefined : { bus: "pci", path });
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
      await this.#removeBackEnd(plugged);
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
    await using undo = new AsyncDisposableStack();
    const fdSet = await this.#sendDisk(disk, signal);
    undo.defer(() => this.#removeFdSet(fdSet));
    const options = { config, isHostDevice: isHostDevice(disk.path), fdSet };
    const { frontEnd, address } = this.#blockFrontEnd(disk, { options, undo });
    await qmp.execute("blockdev-add", jsonProps(parts.blockNode(disk, options)), { signal });
    undo.defer(() => this.#removeNode(disk.id));
    await this.#addFrontEnd(frontEnd, signal);
    undo.move();
    return { address, fdSet };
  }

  async #sendDisk(disk: BlockDevice, signal: AbortSignal): Promise<number> {
    using fd = this.#options.open.disk(disk);
    const added = await this.#options.qmp.execute("add-fd", {}, { signal, fds: [fd] });
    return Number(Object(added)["fdset-id"]);
  }

  /** Once nothing uses it. */
  async #removeFdSet(fdSet: number): Promise<void> {
    await this.#options.qmp.execute("remove-fd", { "fdset-id": fdSet });
  }

  #blockFrontEnd(
    disk: BlockDevice,
    { options, undo }: { options: parts.BlockOptions; undo: AsyncDisposableStack },
  ): { frontEnd: parts.Parts; address: GuestAddress } {
    if ((disk.driver ?? options.config.block_device_driver) === "virtio-scsi") {
      const address = { id: this.#freeScsiId(), lun: 0 };
      return { frontEnd: parts.scsiDisk(disk, { ...options, address }), address: { bus: "scsi", ...address } };
    }
    const { place, address } = this.#takePort(disk.id, undo);
    return { frontEnd: parts.virtioBlk(disk, { ...options, place }), address };
  }

  async #plugNet(card: NetDevice, signal: AbortSignal): Promise<Added> {
    const { qmp } = this.#options;
    using _fds = ownerOf([...card.tapFds, ...card.vhostFds]);
    await using undo = new AsyncDisposableStack();
    const { place, address } = this.#takePort(card.id, undo);
    const queues = {
      tap: await this.#sendAll(`tap-${card.id}`, card.tapFds),
      vhost: await this.#sendAll(`vhost-${card.id}`, card.vhostFds),
    };
    const { netdev, devices } = parts.virtioNet(card, { queues, place });
    await qmp.execute("netdev_add", jsonProps(netdev!), { signal });
    undo.defer(async () => void await qmp.execute("netdev_del", { id: parts.netdevName(card.id) }));
    await this.#addFrontEnd({ devices }, signal);
    undo.move();
    return { address };
  }

  /** Its daemon must listen. */
  async #plugShare(share: ShareFsDevice, signal: AbortSignal): Promise<Added> {
    const { qmp, config, runDir, open } = this.#options;
    await using undo = new AsyncDisposableStack();
    const { place, address } = this.#takePort(share.id, undo);
    const name = `share-${share.id}`;
    const { chardev, devices } = parts.shareFs(share, {
      socketFd: name,
      queueSize: config.virtio_fs_queue_size,
      place,
    });
    using socket = open.share(vmFiles(runDir).share(share.id));
    await qmp.sendFd(name, socket);
    const backend = { type: "socket", data: { addr: { type: "fd", data: { str: name } }, server: false } };
    await qmp.execute("chardev-add", { id: chardev!.id, backend }, { signal });
    undo.defer(() => this.#removeChardev(share.id));
    await this.#addFrontEnd({ devices }, signal);
    undo.move();
    return { address };
  }

  async #removeChardev(id: string): Promise<void> {
    await this.#options.qmp.execute("chardev-remove", { id: parts.chardevName(id) });
  }

  #takePort(id: string, undo: AsyncDisposableStack): { place: parts.Place; address: GuestAddress } {
    const { bus } = this.#options;
    const port = bus.take(id);
    undo.defer(() => bus.release(id));
    return { place: parts.onPort(port.id), address: { bus: "pci", path: bus.path(id)! } };
  }

  async #sendAll(prefix: string, fds: readonly Fd[]): Promise<string[]> {
    const names = fds.map((_, index) => `${prefix}-${index}`);
    for (const [index, fd] of fds.entries()) await this.#options.qmp.sendFd(names[index]!, fd);
    return names;
  }

  async #addFrontEnd({ devices }: parts.Parts, signal: AbortSignal): Promise<void> {
    for (const device of devices) await this.#options.qmp.execute("device_add", jsonProps(device as Props), { signal });
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

  async #removeBackEnd({ device, fdSet }: Plugged): Promise<void> {
    switch (device.kind) {
      case "block":
        await this.#removeNode(device.id);
        return await this.#removeFdSet(fdSet!);
      case "net":
        return void await this.#options.qmp.execute("netdev_del", { id: parts.netdevName(device.id) });
      case "shareFs":
        return await this.#removeChardev(device.id);
    }
  }

  async #removeNode(id: string): Promise<void> {
    await this.#options.qmp.execute("blockdev-del", { "node-name": parts.nodeName(id) });
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
