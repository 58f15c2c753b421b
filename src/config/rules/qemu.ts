/** Rules for `[hypervisor.qemu]`. @module */
import { emulatorOf } from "../emulator.ts";
import type { ConfigFor } from "../tables.ts";
import { fileComplaint, type HostFacts, named, programComplaint, type Rule } from "./rule.ts";

export const QEMU_RULES: readonly Rule<"qemu">[] = [
  {
    keys: ["hypervisor.path"],
    says: "It exists, and nobody but the administrator can change it.",
    check: (config, host) =>
      programComplaint({ path: emulatorOf(config.hypervisor), name: named(config, "path") }, host),
  },
  {
    keys: ["hypervisor.firmware"],
    says: "It is empty, or can be read.",
    check: (config, host) => fileComplaint({ path: config.hypervisor.firmware, name: named(config, "firmware") }, host),
  },
  {
    keys: ["hypervisor.vhost_vsock_daemon", "hypervisor.agent_transport"],
    says: "Where the transport may be hybrid-vsock and the daemon exists, nobody but the administrator can change it.",
    check: vsockDaemonIsTrusted,
  },
];

/** Where the daemon is not there, another transport is taken. */
function vsockDaemonIsTrusted(config: ConfigFor<"qemu">, host: HostFacts): string | undefined {
  const { agent_transport: transport, vhost_vsock_daemon: path } = config.hypervisor;
  if (transport !== "auto" && transport !== "hybrid-vsock") return undefined;
  if (host.programProblem(path) === "ENOENT") return undefined;
  return programComplaint({ path, name: named(config, "vhost_vsock_daemon") }, host);
}
