/** The file that an engine mounts over its containers' resolv.conf(5). @module */
import { readTextOf } from "../../linux/fs/in_root.ts";
import { Fd, O_PATH, pathOf } from "../../linux/io/fd.ts";
import type { Spec } from "../../oci/spec/spec.ts";

const RESOLV_CONF_BYTES = 64 << 10;

/**
 * Holds the file that is there at the start, as the mounts of containers do. An engine that changes it writes into it, for
 * the same reason. What its name means later is never looked at: a container may be able to write to the directory.
 */
export class ResolvConf implements Disposable {
  readonly #path: string;
  readonly #file: Fd | undefined;

  /** @throws {ErrnoError} ENOENT and others. */
  constructor({ mounts = [] }: Pick<Spec, "mounts">) {
    const source = mounts.find(({ destination }) => destination === "/etc/resolv.conf")?.source;
    this.#path = source ?? "";
    this.#file = source === undefined ? undefined : Fd.open(source, O_PATH);
  }

  /**
   * Lines of it by now: what runs beside the containers resolves names as they do. A device that hides the file from them,
   * such as `/dev/null`, names no servers; it is not even opened, nor is a fifo.
   *
   * @throws {RangeError} It is larger than 64 KiB.
   */
  nameServers(): string[] {
    const file = this.#file;
    if (file === undefined || !Deno.statSync(pathOf(file)).isFile) return [];
    const text = readTextOf(file, { path: this.#path, limit: RESOLV_CONF_BYTES });
    return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }
}
