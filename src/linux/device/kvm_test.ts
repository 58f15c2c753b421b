import assert from "node:assert/strict";
import { cpuFlags, hasVirtualization, probeKvm } from "./kvm.ts";

Deno.test("cpuFlags() reads the first processor of either architecture", () => {
  assert.deepEqual(cpuFlags("processor\t: 0\nflags\t\t: fpu vmx\nflags\t\t: svm\n"), ["fpu", "vmx"]);
  assert.deepEqual(cpuFlags("Features\t: fp asimd\n"), ["fp", "asimd"]);
  assert.deepEqual(cpuFlags(""), []);
});

Deno.test.each([
  { cpuinfo: "flags\t: fpu vmx pae", has: true },
  { cpuinfo: "flags\t: svm", has: true },
  { cpuinfo: "flags\t: fpu vmx_like\nvmx flags\t: x", has: false },
])("hasVirtualization($cpuinfo) is $has", ({ cpuinfo, has }) => assert.equal(hasVirtualization(cpuinfo), has));

Deno.test("probeKvm() says why KVM cannot be used", () => {
  assert.deepEqual(probeKvm({ device: "/no/kvm" }), { usable: false, reason: "there is no /no/kvm" });
  assert.deepEqual(probeKvm({ device: "/dev/null" }), {
    usable: false,
    reason: "/dev/null cannot be used: KVM_GET_API_VERSION: ENOTTY",
  });
});
