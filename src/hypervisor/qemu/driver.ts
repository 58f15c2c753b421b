/** QEMU among the monitors. @module */
import type { MonitorDriver } from "../driver.ts";
import { Qemu } from "./qemu.ts";
import { templateIdentity, whyNoTemplate } from "./template_machine.ts";

export const QEMU_DRIVER: MonitorDriver<"qemu"> = {
  kind: "qemu",
  capabilities: { devices: ["block", "net", "shareFs"] },
  create: (table, vm, options) => new Qemu(table, vm, options),
  snapshots: { obstacle: whyNoTemplate, identify: templateIdentity },
};
