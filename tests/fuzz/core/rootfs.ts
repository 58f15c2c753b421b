/** A root file system of busybox, for targets that make containers. @module */
import { exists } from "../../../src/base/files.ts";

const BUSYBOX = "/bin/busybox";

/** Makes it if it is not there. */
export function prepareRoot(rootfs: string): void {
  if (exists(rootfs)) return;
  for (const directory of ["bin", "etc", "proc", "sys", "dev", "tmp", "data"]) {
    Deno.mkdirSync(`${rootfs}/${directory}`, { recursive: true });
  }
  Deno.copyFileSync(BUSYBOX, `${rootfs}/bin/busybox`);
  for (const name of ["true", "sleep", "sh"]) Deno.symlinkSync("busybox", `${rootfs}/bin/${name}`);
}
