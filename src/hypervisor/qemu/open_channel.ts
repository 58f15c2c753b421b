/** The host's end of the channel to the agent, opened before the machine starts. @module */
import { exists } from "../../base/files.ts";
import { type Fd, memfd, pathOf } from "../../linux/io/fd.ts";
import { allocateGuestCid } from "../../linux/net/vsock/vsock.ts";
import { type HostKey, newHostKey } from "../../rpc/transport/host_key.ts";
import { encodeHostMark, type HostMark } from "../../rpc/transport/host_proof.ts";
import { type AgentChannel, openFirst } from "../common/agent_channel.ts";
import { startVhostVsock } from "../common/vhost_vsock.ts";
import type { HypervisorOptions } from "../hypervisor.ts";
import type { Daemons } from "../process/daemons.ts";
import type { QemuTable, VmConfig } from "../vm_config.ts";
import { serialChannel } from "./template_machine.ts";

/** A channel, and what QEMU gets for it. */
export interface OpenChannel {
  channel: AgentChannel;
  vhostVsock?: Fd | undefined;
  hostKey?: Fd | undefined;
}

export interface OpenChannelOptions extends Pick<HypervisorOptions, "runDir" | "log" | "template"> {
  config: QemuTable;
  vm: Pick<VmConfig, "agent" | "cgroupProcs">;
  signal: AbortSignal;
  /** The kernel's device; another one in tests. */
  vsockDevice?: string;
}

interface Owners {
  daemons: Daemons;
  undo: AsyncDisposableStack;
}

/** @throws {Error} The transport that the configuration names does not work. */
export async function openChannel(options: OpenChannelOptions, owners: Owners): Promise<OpenChannel> {
  const { config, template, signal, log } = options;
  const wanted = template?.kind === "make" ? "virtio-serial" : config.agent_transport;
  return await openFirst<OpenChannel>({
    vsock: () => openVsock(options, owners),
    "hybrid-vsock": () => openHybridVsock(options, owners),
    "virtio-serial": () => ({ channel: serialChannel(options.runDir) }),
  }, { wanted, signal, log });
}

function openVsock({ vm, vsockDevice }: OpenChannelOptions, { undo }: Owners): OpenChannel {
  const { fd, cid } = undo.use(allocateGuestCid(vsockDevice === undefined ? {} : { device: vsockDevice }));
  const { key, hostKey } = newKey(vm, { undo, usesHostPorts: true });
  return { channel: { kind: "vsock", cid, key }, vhostVsock: fd, hostKey };
}

async function openHybridVsock(options: OpenChannelOptions, { daemons, undo }: Owners): Promise<OpenChannel> {
  const { config: { vhost_vsock_daemon: path, own_user: ownUser }, vm, runDir, log, signal } = options;
  if (!exists(path)) throw new Error(`"${path}" does not exist`);
  const started = await startVhostVsock({ runDir, log, cgroupProcs: vm.cgroupProcs, path, ownUser, signal });
  undo.use(started.connection);
  daemons.add(started.daemon);
  const hostSocket = pathOf(undo.use(started.hostSocket));
  // Through the daemon nobody chooses a port, and nobody else gets to its socket.
  const { key, hostKey } = newKey(vm, { undo, usesHostPorts: false });
  const channel = { kind: "hybrid-vsock", hostSocket, isReady: started.isReady, key } as const;
  return { channel, vhostVsock: started.connection, hostKey };
}

interface KeyOptions extends Pick<HostMark, "usesHostPorts"> {
  undo: AsyncDisposableStack;
}

/** A key that the guest finds in a file without a name; none if the agent asks for no proof. */
function newKey(
  { agent }: Pick<VmConfig, "agent">,
  { undo, usesHostPorts }: KeyOptions,
): { key?: HostKey; hostKey?: Fd } {
  if (!agent.hostProof) return {};
  const key = newHostKey();
  const mark = new TextEncoder().encode(encodeHostMark({ key, usesHostPorts }));
  return { key, hostKey: undo.use(memfd("kata-host-key", mark)) };
}
