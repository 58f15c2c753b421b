/** A file or directory of the host, shown to the guest through the shared directory. @module */
import { KataError } from "../../base/error.ts";
import { bindMount, setPropagation } from "../../linux/mount.ts";
import { MS } from "../../linux/mount_options.ts";
import type { Mount } from "../../oci/spec.ts";
import { unmountBelow } from "../share_fs.ts";
import type { Volume, VolumeContext } from "./volumes.ts";

/**
 * New mounts below the source appear in the guest as well, unless the mount is private; nothing that happens here reaches
 * the source.
 *
 * Sockets, fifos and devices mean nothing in another kernel: such mounts are left out, with a warning.
 *
 * @throws {KataError} INVALID_ARGUMENT: the source does not exist. UNIMPLEMENTED: what is mounted within is to appear on
 * the host.
 */
export function shareVolume(mount: Mount, { containerId, share, log }: VolumeContext): Volume {
  const { source = "", options = [] } = mount;
  if (options.some((option) => /^r?shared$/.test(option))) {
    const why = "what is mounted in a virtual machine cannot appear on the host";
    throw new KataError("UNIMPLEMENTED", `Cannot mount "${source}" with propagation in both directions: ${why}`);
  }
  const { isDirectory, isFile } = statSource(source, mount.destination);
  if (!isDirectory && !isFile) {
    log.warning("Leaving out a mount that is neither file nor directory", { source, destination: mount.destination });
    return { mount: undefined, [Symbol.dispose]() {} };
  }
  const target = share.path(`${containerId}-${randomHex()}-${baseName(mount.destination)}`);
  using undo = new DisposableStack();
  if (isDirectory) Deno.mkdirSync(target.host);
  else Deno.writeFileSync(target.host, new Uint8Array(), { createNew: true });
  undo.defer(() => {
    unmountBelow(target.host);
    Deno.removeSync(target.host);
  });
  bindMount(source, target.host, { recursive: !options.includes("bind"), readOnly: options.includes("ro") });
  setPropagation(target.host, MS.REC | (options.some((option) => /^r?private$/.test(option)) ? MS.PRIVATE : MS.SLAVE));
  const resources = undo.move();
  return { mount: { ...mount, source: target.guest }, [Symbol.dispose]: () => resources.dispose() };
}

function statSource(source: string, destination: string): Deno.FileInfo {
  try {
    return Deno.statSync(source);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : String(cause);
    throw new KataError("INVALID_ARGUMENT", `Cannot mount "${source}" on "${destination}": ${code}`);
  }
}

/** Two mounts of a container may end alike. */
function randomHex(): string {
  return crypto.getRandomValues(new Uint8Array(4)).toHex();
}

function baseName(path: string): string {
  return path.replace(/\/+$/, "").split("/").at(-1) || "root";
}
