/**
 * Handing the listener of a seccomp filter to the agent that answers its notifications.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md#containerprocessstate
 * @module
 */
import type { Fd } from "../../linux/io/fd.ts";
import { connectUnix, sendFds } from "../../linux/net/socket.ts";
import { OCI_VERSION } from "../spec/spec.ts";
import type { OciState } from "../container/state.ts";

export interface ListenerMessage {
  /** Unix socket that the agent listens on. */
  path: string;
  /** For the agent: the engine does not look into it. */
  metadata: string | undefined;
  /** The process under the filter, as our pid namespace numbers it. */
  pid: number;
  state: OciState;
}

/** @throws {Error} Nobody listens at `path`: the container would stand still at its first notification. */
export function sendListener(listener: Fd, { path, metadata, pid, state }: ListenerMessage): void {
  const message = { ociVersion: OCI_VERSION, fds: ["seccompFd"], pid, ...(metadata && { metadata }), state };
  try {
    using socket = connectUnix(path);
    const bytes = new TextEncoder().encode(JSON.stringify(message));
    // The descriptor goes with the first byte; what does not fit at once follows without it.
    for (let sent = 0; sent < bytes.length;) {
      sent += sendFds(socket, bytes.slice(sent), sent === 0 ? [listener] : []);
    }
  } catch (cause) {
    throw new Error(`Cannot hand the seccomp listener to "${path}"`, { cause });
  }
}
