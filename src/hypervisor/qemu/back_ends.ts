/** The host's side of devices that are plugged into a VM that runs. @module */
import type { Fd } from "../../linux/io/fd.ts";
import { connectUnix } from "../../linux/net/socket.ts";
import type { BlockDevice, Device, NetDevice, ShareFsDevice } from "../device.ts";
import { openDisk } from "../common/disks.ts";
import { vmFiles } from "../common/vm_files.ts";
import type { QemuTable } from "../vm_config.ts";
import { type MonitorSteps, removalDeadline } from "./qmp/undoable_commands.ts";
import { fdSet } from "./qmp/answers.ts";
import * as parts from "./device_objects.ts";
import { jsonProps } from "./props.ts";
import type { Qmp } from "./qmp/qmp.ts";

export interface BackEndsOptions {
  qmp: Qmp;
  config: QemuTable;
  /** Where daemons of shared directories listen. */
  runDir: string;
  /** Open the file of a disk, and the connection to a share's daemon, for QEMU. */
  open?: { disk(disk: BlockDevice): Fd; share(path: string): Fd };
}

interface OnPort {
  /** Of the front end. */
  place: parts.Place;
  steps: MonitorSteps;
}

/** Adds back ends as steps of plugging a device, and removes them. */
export class BackEnds {
  readonly #options: Required<BackEndsOptions>;

  constructor({ qmp, config, runDir, open = { disk: openDisk, share: connectUnix } }: BackEndsOptions) {
    this.#options = { qmp, config, runDir, open };
  }

  /** Gives QEMU a disk's file. @returns The set of descriptors that it is in. */
  async sendDisk(disk: BlockDevice, steps: MonitorSteps): Promise<number> {
    using fd = this.#options.open.disk(disk);
    const added = await steps.run({
      command: "add-fd",
      args: {},
      fds: [fd],
      // Without an answer, nobody knows the number; such a set goes with the connection.
      undo: async (signal, added) => added === undefined || await this.#removeFdSet(fdSet(added), signal),
    });
    return fdSet(added);
  }

  async addNode(
    disk: BlockDevice,
    { options, steps }: { options: parts.BlockOptions; steps: MonitorSteps },
  ): Promise<void> {
    await steps.run({
      command: "blockdev-add",
      args: jsonProps(parts.blockNode(disk, options)),
      undo: (signal) => this.#removeNode(disk.id, signal),
    });
  }

  /** @returns The front end. */
  async addCard(card: NetDevice, { place, steps }: OnPort): Promise<parts.Parts["devices"]> {
    await using names = steps.part();
    const queues = {
      tap: await sendAll(`tap-${card.id}`, { fds: card.tapFds, names }),
      vhost: await sendAll(`vhost-${card.id}`, { fds: card.vhostFds, names }),
    };
    const { netdev, devices } = parts.virtioNet(card, { queues, place });
    await steps.run({
      command: "netdev_add",
      args: jsonProps(netdev!),
      undo: (signal) => this.#removeNetdev(card.id, signal),
    });
    names.keep();
    return devices;
  }

  /** @returns The front end. */
  async addShare(share: ShareFsDevice, { place, steps }: OnPort): Promise<parts.Parts["devices"]> {
    const { config, runDir, open } = this.#options;
    using socket = open.share(vmFiles(runDir).share(share.id));
    await using names = steps.part();
    const socketFd = await names.sendFd(`share-${share.id}`, socket);
    const { chardev, devices } = parts.shareFs(share, { socketFd, queueSize: config.virtio_fs_queue_size, place });
    const backend = { type: "socket", data: { addr: { type: "fd", data: { str: socketFd } }, server: false } };
    await steps.run({
      command: "chardev-add",
      args: { id: chardev!.id, backend },
      undo: (signal) => this.#removeChardev(share.id, signal),
    });
    names.keep();
    return devices;
  }

  /** Once the guest has let go of the device. A part that stays keeps none of the others. */
  async remove({ kind, id }: Device, { fdSet }: { fdSet?: number }): Promise<void> {
    await using removals = new AsyncDisposableStack();
    const signal = removalDeadline();
    switch (kind) {
      case "block":
        removals.defer(() => this.#removeFdSet(fdSet!, signal));
        return removals.defer(() => this.#removeNode(id, signal));
      case "net":
        return removals.defer(() => this.#removeNetdev(id, signal));
      case "shareFs":
        return removals.defer(() => this.#removeChardev(id, signal));
    }
  }

  async #removeNode(id: string, signal: AbortSignal): Promise<void> {
    await this.#options.qmp.execute("blockdev-del", { "node-name": parts.nodeName(id) }, { signal });
  }

  /** Once nothing uses it. */
  async #removeFdSet(fdSet: number, signal: AbortSignal): Promise<void> {
    await this.#options.qmp.execute("remove-fd", { "fdset-id": fdSet }, { signal });
  }

  async #removeNetdev(id: string, signal: AbortSignal): Promise<void> {
    await this.#options.qmp.execute("netdev_del", { id: parts.netdevName(id) }, { signal });
  }

  async #removeChardev(id: string, signal: AbortSignal): Promise<void> {
    await this.#options.qmp.execute("chardev-remove", { id: parts.chardevName(id) }, { signal });
  }
}

async function sendAll(
  prefix: string,
  { fds, names }: { fds: readonly Fd[]; names: MonitorSteps },
): Promise<string[]> {
  const sent: string[] = [];
  for (const [index, fd] of fds.entries()) sent.push(await names.sendFd(`${prefix}-${index}`, fd));
  return sent;
}
