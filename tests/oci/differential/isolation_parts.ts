/** Parts that set a container apart: namespaces, their parameters, system calls. @module */
import { lchownSync } from "node:fs";
import fc from "fast-check";
import type { Spec } from "../runtime.ts";
import { type Part, part, someOf } from "./plan.ts";

const of = fc.constantFrom;

const syscalls = fc.array(
  fc.record({
    names: of(
      ["mkdir", "mkdirat"],
      ["chmod", "fchmodat"],
      ["uname"],
      ["mount"],
      ["no_such_call", "sethostname"],
      ["chown", "fchownat", "lchown"],
    ),
    action: of(
      { action: "SCMP_ACT_ERRNO" },
      { action: "SCMP_ACT_ERRNO", errnoRet: 38 },
      { action: "SCMP_ACT_ERRNO", errnoRet: 61 },
      { action: "SCMP_ACT_ALLOW" },
      { action: "SCMP_ACT_KILL_PROCESS" },
      { action: "SCMP_ACT_LOG" },
      { action: "SCMP_ACT_TRACE" },
      { action: "SCMP_ACT_TRAP" },
    ),
  }).map(({ names, action }) => ({ names, ...action })),
  { minLength: 1, maxLength: 3 },
);

export const ISOLATION = {
  "without namespaces": part(
    someOf("pid", "ipc", "uts", "network"),
    ({ spec }, gone) => {
      spec.linux.namespaces = spec.linux.namespaces.filter(({ type }: Spec) => !gone.includes(type));
      if (gone.includes("uts")) delete spec.hostname;
    },
  ),
  "cgroup namespace": part(fc.constant(null), ({ spec }) => spec.linux.namespaces.push({ type: "cgroup" })),
  "user namespace": part(
    fc.record({ hostID: of(0, 100_000), size: of(1000, 65536) }),
    ({ spec, box }, { hostID, size }) => {
      // Its root may mount proc and sysfs only for namespaces that are its own.
      const types = ["pid", "ipc", "uts", "mount", "network", "user"];
      spec.linux.namespaces = [...types, ...hasNamespace(spec, "cgroup") ? ["cgroup"] : []].map((type) => ({ type }));
      spec.linux.uidMappings = [{ containerID: 0, hostID, size }];
      spec.linux.gidMappings = [{ containerID: 0, hostID, size }];
      if (hostID > 0) own(box.rootfs, hostID);
    },
  ),
  "joined namespaces": part(
    someOf({ type: "network", file: "net" }, { type: "ipc", file: "ipc" }, { type: "uts", file: "uts" }, {
      type: "pid",
      file: "pid",
    }),
    ({ spec }, joined) => {
      for (const { type, file } of joined) {
        if (hasNamespace(spec, "user") && type !== "uts") continue;
        spec.linux.namespaces = spec.linux.namespaces.filter((one: Spec) => one.type !== type);
        spec.linux.namespaces.push({ type, path: `/proc/self/ns/${file}` });
        if (type === "uts") delete spec.hostname;
      }
    },
  ),
  sysctl: part(
    fc.dictionary(of("net.ipv4.ip_forward", "kernel/shm_rmid_forced"), of("0", "1"), {
      minKeys: 1,
    }),
    ({ spec }, sysctl) => setSysctl(spec, sysctl),
  ),
  "sysctl of more words": part(
    fc.record(
      {
        "net.ipv4.ping_group_range": of("0 0", "0 100"),
        "kernel.sem": of("250 32000 100 128"),
        "fs.mqueue.msg_max": of("7"),
      },
      { requiredKeys: [] },
    ),
    ({ spec }, sysctl) => setSysctl(spec, sysctl),
  ),
  seccomp: part(
    fc.record({
      defaultAction: of("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"),
      architectures: of(undefined, ["SCMP_ARCH_X86_64"], ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
      flags: of(undefined, []),
      syscalls,
    }),
    ({ spec }, seccomp) => spec.linux.seccomp = seccomp,
  ),
  "seccomp on arguments": part(
    fc.record({
      op: of("SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"),
      value: of(0, 0o4755, 0o777),
      valueTwo: of(0, 0o4755),
      index: of(1, 2),
    }),
    ({ spec }, args) => {
      const denied = { names: ["chmod", "fchmodat"], action: "SCMP_ACT_ERRNO", errnoRet: 61, args: [args] };
      spec.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [denied] };
    },
  ),
} satisfies Record<string, Part>;

/** Whether it has a new one. */
function hasNamespace({ linux }: Spec, type: string): boolean {
  return linux.namespaces.some((one: Spec) => one.type === type && one.path === undefined);
}

/** Only in namespaces of its own: runc would set those of the host if they are joined by path. */
function setSysctl(spec: Spec, sysctl: Record<string, string>): void {
  if (!["ipc", "network"].every((type) => hasNamespace(spec, type))) return;
  spec.linux.sysctl = { ...spec.linux.sysctl, ...sysctl };
}

/** Gives the files of a tree to another user. */
function own(path: string, id: number): void {
  lchownSync(path, id, id);
  for (const { name, isDirectory } of Deno.readDirSync(path)) {
    if (name === "busybox") continue; // a hard link that all bundles share
    if (isDirectory) own(`${path}/${name}`, id);
    else lchownSync(`${path}/${name}`, id, id);
  }
}
