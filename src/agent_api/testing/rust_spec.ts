/** Specifications as Kata's clients in Rust write them: its shim and `agent-ctl`. See `peers.ts`. @module */
import { clone } from "@bufbuild/protobuf";
import type { Spec } from "../../oci/spec/spec.ts";
import { type LinuxSeccomp, type LinuxSyscall, type Spec as WireSpec, SpecSchema } from "../../proto/oci_pb.ts";
import { specToProto } from "../spec_codec.ts";

const SHORT: Readonly<Record<string, string>> = { mount: "mnt", network: "net" };

/** @param json Whether capabilities are written as texts of JSON, as once. */
export function specOfRust(spec: Spec, { json = false }: { json?: boolean } = {}): WireSpec {
  const wire = clone(SpecSchema, specToProto(spec));
  for (const namespace of wire.Linux?.Namespaces ?? []) namespace.Type = SHORT[namespace.Type] ?? namespace.Type;
  for (const rule of wire.Linux?.Resources?.Devices ?? []) {
    if (rule.Major < 0n) rule.Major = 0n;
    if (rule.Minor < 0n) rule.Minor = 0n;
  }
  for (const call of wire.Linux?.Seccomp?.Syscalls ?? []) writeErrno(call);
  forget(wire.Linux?.Seccomp);
  const capabilities = wire.Process?.Capabilities;
  if (capabilities !== undefined) {
    for (const set of ["Bounding", "Effective", "Inheritable", "Permitted", "Ambient"] as const) {
      capabilities[set] = capabilities[set].map((name) => json ? JSON.stringify(name) : name.replace(/^CAP_/, ""));
    }
  }
  return wire;
}

function writeErrno(call: LinuxSyscall): void {
  call.ErrnoRet = { case: "errnoret", value: call.ErrnoRet.value ?? 0 };
  call.ReturnsZero = false;
}

/** Takes away a field of ours. */
function forget(seccomp: LinuxSeccomp | undefined): void {
  if (seccomp !== undefined) delete seccomp.DefaultErrnoRet;
}
