/**
 * How the host reaches the agent: vsock where the host has it, a daemon that stands in for it, or a serial port, which
 * needs nothing. Addresses are those of `rpc/transport/address.ts`.
 *
 * @module
 */
import { errorChain } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { AGENT_PORT, AGENT_SERIAL_PORT } from "../../agent_api/names.ts";
import type { HostKey } from "../../rpc/transport/host_key.ts";

/** A transport that was chosen, with what it needs of the host. */
export type AgentChannel =
  | { kind: "vsock"; cid: number; key?: HostKey | undefined }
  /**
   * @property hostSocket Where the host asks for a guest's port.
   * @property isReady Whether it may ask.
   */
  | { kind: "hybrid-vsock"; hostSocket: string; isReady: () => boolean; key?: HostKey | undefined }
  | { kind: "virtio-serial"; socket: string };

/** Opens a transport. @throws Why the host does not have it, or it does not work. */
export type Opener<T> = () => T | Promise<T>;

export interface ChoiceOptions {
  /** `agent_transport` of the configuration. */
  wanted: AgentChannel["kind"] | "auto";
  signal: AbortSignal;
  log: Logger;
}

/**
 * Opens the transport that the configuration names, or for "auto" the first one that works: that a device or a program is
 * there says nothing about that. The log has the reason of each that does not.
 *
 * @throws {Error} The transport that was asked for by name does not work, or the start was given up.
 */
export async function openFirst<T>(
  openers: Readonly<Record<AgentChannel["kind"], Opener<T>>>,
  { wanted, signal, log }: ChoiceOptions,
): Promise<T> {
  if (wanted !== "auto") return await openNamed(wanted, openers[wanted]);
  const reasons: Record<string, string> = {};
  for (const kind of ["vsock", "hybrid-vsock"] as const) {
    try {
      return await openers[kind]();
    } catch (error) {
      signal.throwIfAborted();
      reasons[kind] = errorChain(error);
      // A descriptor too many is no property of the host, and the next one would lack it too.
      if (isErrno(error, "EMFILE", "ENFILE", "ENOMEM")) throw error;
    }
  }
  log.info("Reaching the agent over virtio-serial: no vsock works here", reasons);
  return await openers["virtio-serial"]();
}

async function openNamed<T>(kind: AgentChannel["kind"], open: Opener<T>): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    throw new Error(`Cannot use agent_transport "${kind}"`, { cause });
  }
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
