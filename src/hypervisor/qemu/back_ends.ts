/** The host's side of devices that are plugged into a VM that runs. @module */
import type { Fd } from "../../linux/io/fd.ts";
import { connectUnix } from "../../linux/net/socket.ts";
import type { BlockDevice, Device, NetDevice, ShareFsDevice } from "../device.ts";
import { openDisk } from "../common/disks.ts";
import { vmFiles } from "../common/vm_files.ts";
import type { QemuTable } from "../vm_config.ts";
import { removalDeadline, type UndoableCommands } from "./qmp/undoable_commands.ts";
import { fdSet } from "./qmp/answers.ts";
import * as objects from "./device_objects.ts";
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
  slot: objects.Slot;
  commands: UndoableCommands;
}

/** Adds back ends as commands of plugging a device, and removes them. */
export class BackEnds {
  readonly #options: Required<BackEndsOptions>;

  constructor({ qmp, config, runDir, open = { disk: openDisk, share: connectUnix } }: BackEndsOptions) {
    this.#options = { qmp, config, runDir, open };
  }

  /** Gives QEMU a disk's file. @returns The set of descriptors that it is in. */
  async sendDisk(disk: BlockDevice, commands: UndoableCommands): Promise<number> {
    using fd = this.#options.open.disk(disk);
    const added = await commands.run({
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
    { options, commands }: { options: objects.BlockOptions; commands: UndoableCommands },
  ): Promise<void> {
    await commands.run({
      command: "blockdev-add",
      args: jsonProps(objects.blockNode(disk, options)),
      undo: (signal) => this.#removeNode(disk.id, signal),
    });
  }

  /** @returns The front end. */
  async addCard(card: NetDevice, { slot, commands }: OnPort): Promise<objects.DeviceObjects["devices"]> {
    await using names = commands.nested();
    const queues = {
      tap: await sendAll(`tap-${card.id}`, { fds: card.tapFds, names }),
      vhost: await sendAll(`vhost-${card.id}`, { fds: card.vhostFds, names }),
    };
    const { netdev, devices } = objects.virtioNet(card, { queues, slot });
    await commands.run({
      command: "netdev_add",
      args: jsonProps(netdev!),
      undo: (signal) => this.#removeNetdev(card.id, signal),
    });
    names.keep();
    return devices;
  }

  /** @returns The front end. */
  async addShare(share: ShareFsDevice, { slot, commands }: OnPort): Promise<objects.DeviceObjects["devices"]> {
    const { config, runDir, open } = this.#options;
    using socket = open.share(vmFiles(runDir).share(share.id));
    await using names = commands.nested();
    const socketFd = await names.sendFd(`share-${share.id}`, socket);
    const { chardev, devices } = objects.shareFs(share, { socketFd, queueSize: config.virtio_fs_queue_size, slot });
    const backend = { type: "socket", data: { addr: { type: "fd", data: { str: socketFd } }, server: false } };
    await commands.run({
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
    await this.#options.qmp.execute("blockdev-del", { "node-name": objects.nodeName(id) }, { signal });
  }

  /** Once nothing uses it. */
  async #removeFdSet(fdSet: number, signal: AbortSignal): Promise<void> {
    await this.#options.qmp.execute("remove-fd", { "fdset-id": fdSet }, { signal });
  }

  async #removeNetdev(id: string, signal: AbortSignal): Promise<void> {
    await this.#options.qmp.execute("netdev_del", { id: objects.netdevName(id) }, { signal });
  }

  async #removeChardev(id: string, signal: AbortSignal): Promise<void> {
    await this.#options.qmp.execute("chardev-remove", { id: objects.chardevName(id) }, { signal });
  }
}

async function sendAll(
  prefix: string,
  { fds, names }: { fds: readonly Fd[]; names: UndoableCommands },
): Promise<string[]> {
  const sent: string[] = [];
  for (const [index, fd] of fds.entries()) sent.push(await names.sendFd(`${prefix}-${index}`, fd));
  return sent;
}
