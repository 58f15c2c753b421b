/**
 * How the host reaches the agent: vsock where the host has it, a daemon that stands in for it, or a serial port, which
 * needs nothing. Addresses are those of `rpc/transport/address.ts`.
 *
 * @module
 */
import { AGENT_PORT, AGENT_SERIAL_PORT } from "../../agent_api/names.ts";
import type { HostKey } from "../../rpc/transport/host_key.ts";

export const VHOST_VSOCK = "/dev/vhost-vsock";

/** A transport that was chosen, with what it needs of the host. */
export type AgentChannel =
  | { kind: "vsock"; cid: number; key?: HostKey | undefined }
  /**
   * @property hostSocket Where the host asks for a guest's port.
   * @property isReady Whether it may ask.
   */
  | { kind: "hybrid-vsock"; hostSocket: string; isReady: () => boolean; key?: HostKey | undefined }
  | { kind: "virtio-serial"; socket: string };

/** A transport as the configuration names it, and the program behind `hybrid-vsock`. */
export interface TransportWish {
  transport: AgentChannel["kind"] | "auto";
  daemon: string;
}

/**
 * Resolves `agent_transport = "auto"`.
 *
 * @throws {Error} A transport that was asked for by name lacks its device or daemon.
 */
export function chooseTransport(
  { transport: wanted, daemon }: TransportWish,
  exists: (path: string) => boolean,
): AgentChannel["kind"] {
  const needs = { vsock: VHOST_VSOCK, "hybrid-vsock": daemon };
  if (wanted === "virtio-serial") return wanted;
  if (wanted !== "auto") {
    if (exists(needs[wanted])) return wanted;
    throw new Error(`Cannot use agent_transport "${wanted}": "${needs[wanted]}" does not exist`);
  }
  if (exists(needs.vsock)) return "vsock";
  return exists(needs["hybrid-vsock"]) ? "hybrid-vsock" : "virtio-serial";
}

/**
 * Address at which the host dials the agent.
 *
 * @throws {Error} The host must not dial yet; a later call returns the address.
 */
export function hostAddress(channel: AgentChannel): string {
  switch (channel.kind) {
    case "vsock":
      return `vsock://${channel.cid}:${AGENT_PORT}`;
    case "hybrid-vsock":
      if (!channel.isReady()) throw new Error("Cannot dial the agent: the guest has not set up its vsock device yet");
      return `hvsock://${channel.hostSocket}:${AGENT_PORT}`;
    case "virtio-serial":
      return `serial://${channel.socket}`;
  }
}

/** Key with which the host proves itself to the agent; a serial port needs no proof. */
export function hostKey(channel: AgentChannel): HostKey | undefined {
  return channel.kind === "virtio-serial" ? undefined : channel.key;
}

/** Where the agent listens, as a word of the kernel's command line; vsock is what it does by itself. */
export function listenParams({ kind }: AgentChannel): readonly string[] {
  return kind === "virtio-serial" ? [`agent.server_addr=serial://${AGENT_SERIAL_PORT}`] : [];
}
