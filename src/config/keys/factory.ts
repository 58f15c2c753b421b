/** The keys of `[factory]`. @module */
import { table } from "../key.ts";

/**
 * Kata keeps templates in a tmpfs. Ours are on disk: they outlive a reboot, and the host can take the memory of their
 * pages back, whereas a tmpfs would hold it for good.
 */
export const FACTORY = table({
  path: "factory",
  doc: "Machines that start from the saved state of one that has booted.",
  keys: {
    enable_template: {
      type: "boolean",
      default: true,
      doc: 'Starts sandboxes from a template, if "kata-runtime factory init" has made one that fits; else they boot.',
      renamedFrom: ["hypervisor.qemu.factory.enable_template"],
    },
    template_path: {
      type: "text",
      default: "/var/cache/kata/template",
      doc: "Directory of the templates; below it each has one of its own.",
      renamedFrom: ["hypervisor.qemu.factory.template_path"],
    },
  },
});
