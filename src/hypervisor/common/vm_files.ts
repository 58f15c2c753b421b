/** Files of one VM in its run directory. @module */
import { removePath } from "../../linux/fs/remove_tree.ts";
import { VHOST_VSOCK_DIRECTORY } from "./vhost_vsock.ts";

/** Names of sockets are short: see `SOCKET_ROOM` in `sandbox/persist.ts`. */
export function vmFiles(runDir: string): { agent: string; console: string; share(id: string): string } {
  return {
    agent: `${runDir}/agent.sock`,
    console: `${runDir}/console.log`,
    share: (id) => `${runDir}/fs-${id}.sock`,
  };
}

const OUR_FILES = /^(agent\.sock|console\.log(\.1)?|fs-.*\.sock)$/;

/** Removes sockets and logs of ours; the directory itself is the caller's. */
export function removeVmFiles(runDir: string): void {
  for (const { name } of Deno.readDirSync(runDir)) {
    if (OUR_FILES.test(name)) Deno.removeSync(`${runDir}/${name}`);
    else if (name === VHOST_VSOCK_DIRECTORY) removePath(`${runDir}/${name}`);
  }
}
