/**
 * The address of the shim's socket, which `start` answers containerd with.
 *
 * The answer of `start` is the bare address. Every containerd from 1.6 to 2.3 reads it as "version 2, ttRPC": 1.6 knows
 * nothing else, 1.7 to 2.2 fall back from JSON to text, and 2.3 tries `BootstrapResult` first, which a text starting with
 * `unix://` can never parse as. Announcing version 3 would promise that one `start` serves all containers of a pod.
 *
 * @module
 */
import type { ShimArgs } from "./args.ts";

const SOCKET_DIR = "/run/containerd/s";

/** Names one shim: a restart with the same three values finds the same socket. */
export type ShimIdentity = Pick<ShimArgs, "address" | "namespace" | "id">;

/**
 * The socket's address by containerd's formula, so that `start` of a pod's container and `delete` compute the same one.
 *
 * @param socketDir Absolute; containerd 2.3 and later may name another than the default.
 */
export async function socketAddress(shim: ShimIdentity, socketDir: string = SOCKET_DIR): Promise<string> {
  const path = [shim.address, shim.namespace, shim.id].filter((part) => part !== "").join("/").replace(/\/+/g, "/");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(path));
  return `unix://${socketDir}/${new Uint8Array(digest).toHex()}`;
}
