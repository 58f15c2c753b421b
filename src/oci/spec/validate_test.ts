import assert from "node:assert/strict";
import type { KataError } from "../../base/error.ts";
import fc from "fast-check";
import { type Namespace, type Spec, SPEC_SHAPE } from "./spec.ts";
import { valuesOf } from "./testing/values.ts";
import { validate } from "./validate.ts";

function spec(change: (spec: Spec) => void = () => {}): Spec {
  const valid: Spec = {
    ociVersion: "1.2.0",
    root: { path: "rootfs" },
    process: { user: { uid: 0, gid: 0 }, args: ["true"], cwd: "/" },
    linux: { namespaces: [{ type: "mount" }, { type: "pid" }] },
  };
  change(valid);
  return valid;
}

Deno.test("validate() accepts the least configuration", () => validate(spec()));

Deno.test.each<{ problem: string; change: (spec: Spec) => void }>([
  { problem: "process is missing", change: (s) => delete s.process },
  { problem: "process.args is empty", change: (s) => s.process!.args = [] },
  { problem: 'process.cwd "here" is not absolute', change: (s) => s.process!.cwd = "here" },
  { problem: 'process.env holds "A"', change: (s) => s.process!.env = ["A"] },
  { problem: "with a NUL", change: (s) => s.process!.args = ["a\0b"] },
  {
    problem: 'limit "RLIMIT_NOFILE" to 2 (soft) and 1',
    change: (s) => s.process!.rlimits = [{ type: "RLIMIT_NOFILE", soft: 2, hard: 1 }],
  },
  { problem: "root.path is missing", change: (s) => s.root = { path: "" } },
  { problem: "mounts[0].destination is missing", change: (s) => s.mounts = [{ destination: "" }] },
  { problem: '"pid" is listed twice', change: (s) => s.linux!.namespaces!.push({ type: "pid" }) },
  { problem: "hostname needs a uts namespace", change: (s) => s.hostname = "box" },
  { problem: "needs uidMappings", change: (s) => s.linux!.namespaces!.push({ type: "user" }) },
  {
    problem: 'memory policy "MPOL_BIND": it needs nodes',
    change: (s) => s.linux!.memoryPolicy = { mode: "MPOL_BIND" },
  },
  {
    problem: 'mounts[0] on "/" cannot be rshared by itself: set linux.rootfsPropagation',
    change: (s) => s.mounts = [{ destination: "/.", type: "bind", source: "/x", options: ["rbind", "rshared"] }],
  },
  { problem: 'mount propagation "loud"', change: (s) => s.linux!.rootfsPropagation = "loud" },
  {
    problem: 'sysctl "vm.swappiness" is not in a namespace',
    change: (s) => s.linux!.sysctl = { "vm.swappiness": "1" },
  },
  { problem: "needs a network namespace", change: (s) => s.linux!.sysctl = { "net.core.somaxconn": "1" } },
  { problem: "not a name below /proc/sys", change: (s) => s.linux!.sysctl = { "../kernel": "1" } },
  { problem: 'hook "prog" has no absolute path', change: (s) => s.hooks = { prestart: [{ path: "prog" }] } },
  { problem: "linux.intelRdt is not supported", change: (s) => s.linux!.intelRdt = { closID: "guaranteed" } },
  {
    problem: "linux.seccomp.syscalls[0] names no system call",
    change: (s) =>
      s.linux!.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: [], action: "SCMP_ACT_ERRNO" }] },
  },
  { problem: "linux.mountLabel holds a quotation mark", change: (s) => s.linux!.mountLabel = 'a"b' },
  { problem: 'ociVersion "2.0.0"', change: (s) => s.ociVersion = "2.0.0" },
])("validate() names the problem $problem", ({ problem, change }) => {
  assert.throws(() => validate(spec(change)), (error: KataError) => {
    assert.equal(error.code, "INVALID_ARGUMENT");
    return error.message.includes(problem);
  });
});

Deno.test.each<{ namespaces: Namespace[] }>([
  { namespaces: [] },
  { namespaces: [{ type: "mount", path: "/proc/1/ns/mnt" }] },
])(
  "runk 38: validate() takes the mount namespaces $namespaces, but not on a machine of its own",
  ({ namespaces }) => {
    const shared = spec((s) => s.linux = { namespaces });
    validate(shared);
    assert.throws(() => validate(shared, { ownsMachine: true }), /needs a mount namespace of its own/);
  },
);

Deno.test("validate() has words for whatever a specification of the right types says", () => {
  fc.assert(fc.property(valuesOf(SPEC_SHAPE), (spec) => {
    try {
      validate(spec);
    } catch (error) {
      assert.equal((error as KataError).code, "INVALID_ARGUMENT", String(error));
      assert.doesNotMatch((error as Error).message, /undefined|is not a function|Cannot (?:read|convert|mix)/);
    }
  }));
});

Deno.test("validate() lists all problems at once", () => {
  const broken = spec((s) => {
    s.process!.cwd = "here";
    s.root = { path: "" };
  });
  assert.throws(() => validate(broken), /root.path is missing; process.cwd/);
});

Deno.test("validate() lets a machine that is the sandbox set its own parameters", () => {
  validate(spec((s) => s.linux!.sysctl = { "vm.swappiness": "1" }), { ownsMachine: true });
});
