import assert from "node:assert/strict";
import { defaultConfig } from "../config/schema.ts";
import { createHypervisor, describeTemplate, requireAbilities } from "./create.ts";
import { coreDriver } from "./testing/core_monitor.ts";
import { plainVm } from "./testing/vm.ts";
import { createLogger } from "../base/log.ts";

const SHARE = { kind: "shareFs", id: "shared", tag: "kataShared", source: "/share" } as const;
const OPTIONS = { id: "s1", runDir: "/nowhere", log: createLogger({ sink: () => {} }) };

Deno.test("createHypervisor() makes a VM of the monitor whose table it gets, with all facets of that one", () => {
  const { name, hotplug, resize, snapshot } = createHypervisor(defaultConfig().hypervisor, plainVm(), OPTIONS);
  assert.equal(name, "qemu");
  assert.ok(hotplug && resize && snapshot);
});

Deno.test("requireAbilities() refuses a device that the monitor cannot start with, by both names", () => {
  const driver = coreDriver();
  requireAbilities(driver, { vm: plainVm(), options: OPTIONS });
  assert.throws(() => requireAbilities(driver, { vm: plainVm({ devices: [SHARE] }), options: OPTIONS }), {
    code: "UNIMPLEMENTED",
    message: 'Cannot give a VM shareFs "shared": monitor "core" has no such device',
  });
});

Deno.test("requireAbilities() refuses a template where the monitor has none", () => {
  const options = { ...OPTIONS, template: { kind: "use", root: "/templates" } } as const;
  assert.throws(() => requireAbilities(coreDriver(), { vm: plainVm(), options }), {
    code: "UNIMPLEMENTED",
    message: 'Cannot use a template (enable_template): monitor "core" has none',
  });
});

Deno.test("describeTemplate() says why a configuration can have none", () => {
  const { hypervisor } = defaultConfig();
  assert.throws(() => describeTemplate({ ...hypervisor, agent_transport: "vsock" }, plainVm()), {
    message: /^Cannot use a template with this configuration: agent_transport "vsock" cannot be saved/,
  });
});
