/** Which virtiofsd serves the guests of tests. @module */
import { exists } from "../../src/base/files.ts";

const CACHE = Deno.env.get("KATA_CACHE") ??
  `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/kata`;
const DEBIAN_ARCH = Deno.build.arch === "x86_64" ? "amd64" : "arm64";

/** The newer one, which `scripts/test` unpacks, with the libraries that it needs. */
export const RUST_DAEMON = `${CACHE}/unpacked/sid-${DEBIAN_ARCH}/virtiofsd/usr/libexec/virtiofsd`;
/** QEMU's own, of Debian 12. */
export const C_DAEMON = "/usr/lib/qemu/virtiofsd";

/** The daemon of machines: `KATA_VIRTIOFSD`, else the newer one; empty: what the product finds. */
export function shareDaemon(): string {
  return Deno.env.get("KATA_VIRTIOFSD") || (exists(RUST_DAEMON) ? RUST_DAEMON : "");
}
