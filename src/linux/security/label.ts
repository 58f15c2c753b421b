/**
 * Extended attributes, and the labels by which SELinux and AppArmor confine a program.
 *
 * @see https://man7.org/linux/man-pages/man7/xattr.7.html
 * @module
 */
import { exists } from "../../base/files.ts";
import { isErrno } from "../ffi/errno.ts";
import { bind, check, cstring } from "../ffi/libc.ts";

const libc = bind({
  lsetxattr: {
    parameters: ["buffer", /* path */ "buffer", /* name */ "buffer", "usize", /* size */ "i32" /* flags */],
    result: "i32",
  },
});

/** Sets an attribute, of the link itself if the path is one; a former value is lost. */
export function setXattr(path: string, name: string, value: Uint8Array<ArrayBuffer>): void {
  const [cpath, cname] = [cstring(path), cstring(name)];
  check("lsetxattr", () => libc.lsetxattr(cpath, cname, value, value.length, 0), `${path} ${name}`);
}

/** Labels that confine a program from its execve on. */
export interface ProcessLabels {
  /** An SELinux context: `system_u:system_r:container_t:s0`. */
  selinux?: string | undefined;
  /** The name of a loaded AppArmor profile. */
  apparmor?: string | undefined;
}

/** A write that the child has to do itself, as its last step before exec. */
export interface LabelWrite {
  path: string;
  data: string;
}

/**
 * The writes to the `attr` files that put labels on the next program of the thread.
 *
 * @param proc Where procfs is mounted for the child at that time.
 */
export function labelWrites({ selinux, apparmor }: ProcessLabels, proc = "/proc"): LabelWrite[] {
  const attributes = `${proc}/thread-self/attr`;
  return [
    ...(selinux ? [{ path: `${attributes}/exec`, data: selinux }] : []),
    // Of its own directory: `attr/exec` belongs to the module that was first.
    ...(apparmor ? [{ path: `${attributes}/apparmor/exec`, data: `exec ${apparmor}` }] : []),
  ];
}

/** Where the kernel shows its security modules; another place in tests. */
export interface SecurityRoot {
  sys?: string;
}

/** Whether SELinux confines programs here. */
export function isSelinuxEnabled({ sys = "/sys" }: SecurityRoot = {}): boolean {
  return exists(`${sys}/fs/selinux/enforce`);
}

/** Whether AppArmor confines programs here. */
export function isApparmorEnabled({ sys = "/sys" }: SecurityRoot = {}): boolean {
  try {
    return Deno.readTextFileSync(`${sys}/module/apparmor/parameters/enabled`).startsWith("Y");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

const SELINUX_XATTR = "security.selinux";

/** Labels a file or a whole tree for SELinux; symbolic links themselves, never what they lead to. */
export function relabel(path: string, { label, recursive = false }: { label: string; recursive?: boolean }): void {
  setXattr(path, SELINUX_XATTR, cstring(label));
  if (!recursive || !Deno.lstatSync(path).isDirectory) return;
  for (const { name } of Deno.readDirSync(path)) relabel(`${path}/${name}`, { label, recursive });
}
