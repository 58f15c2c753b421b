/** The keys of `[agent.kata]`. @module */
import { table } from "../key.ts";

export const AGENT = table({
  path: "agent.kata",
  doc: "The agent in the guest, and how the runtime reaches it.",
  keys: {
    enable_debug: { type: "boolean", default: false, doc: "Lets the agent log messages for debugging." },
    log_level: {
      type: "text",
      default: "",
      doc: "trace, debug, info, warning, error or critical, whatever enable_debug says; empty: as enable_debug says.",
    },
    kernel_modules: {
      type: "texts",
      default: [],
      annotation: { name: "agent.kernel_modules" },
      doc: 'Modules that the guest loads before the first container: "name parameter=value".',
    },
    debug_console_enabled: {
      type: "boolean",
      default: false,
      status: "planned",
      doc: "Lets the host's administrator open a shell in the guest.",
    },
    host_proof: {
      type: "choice",
      ours: true,
      values: ["key", "none"],
      default: "key",
      doc: "Over vsock every user of the host, and every container on it, can connect to any guest. key: the guest " +
        "gets a secret that only this runtime knows, and its agent serves whoever proves to know it. none: for an " +
        "agent that knows of no keys, such as Kata's own; whoever connects commands the guest. An agent of ours " +
        "under Kata's own runtime, which has no keys, needs agent.host_proof=none in that one's kernel_params; it " +
        "then serves the whole host.",
    },
    container_vsock: {
      type: "boolean",
      ours: true,
      default: false,
      doc: "Lets containers have vsock sockets: by these they reach whatever listens on the host's vsock, as no " +
        "namespace divides it.",
    },
    dial_timeout_ms: {
      type: "integer",
      unit: "ms",
      min: 1,
      default: 10,
      doc: "Time between two attempts to reach the agent.",
    },
    reconnect_timeout_ms: {
      type: "integer",
      unit: "ms",
      min: 1,
      default: 60_000,
      doc: "How long the agent may take to answer after the machine started. Emulated guests need several seconds.",
    },
    create_container_timeout: {
      type: "integer",
      unit: "s",
      min: 1,
      max: 86_400,
      default: 60,
      annotation: { name: "runtime.create_container_timeout" },
      renamedFrom: ["runtime.create_container_timeout"],
      doc: "How long the agent may take to make a container.",
    },
  },
});
