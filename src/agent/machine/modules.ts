/** Modules of the guest's kernel. @module */
import { spawn } from "../../linux/process/spawn.ts";

/** Loads a module with all that it needs; one that is there or built in is no error. @throws {Error} Naming it. */
export async function loadModule(name: string, parameters: readonly string[] = []): Promise<void> {
  await using child = spawn({ path: "/sbin/modprobe", args: ["modprobe", "-v", name, ...parameters] });
  const status = await child.wait();
  if (!("code" in status) || status.code !== 0) {
    throw new Error(`Cannot load kernel module "${name}": modprobe ended with ${JSON.stringify(status)}`);
  }
}

/** Loads a type of file systems that the kernel does not know yet; if there is none, the mount will say so. */
export async function loadFilesystem(type: string): Promise<void> {
  if (Deno.readTextFileSync("/proc/filesystems").includes(`\t${type}\n`)) return;
  await loadModule(`fs-${type}`).catch(() => {});
}
