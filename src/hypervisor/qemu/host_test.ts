import assert from "node:assert/strict";
import { chooseAccelerator } from "./host.ts";
import { findFirmware, machineType } from "./machine_kinds.ts";

const FOREIGN = Deno.build.arch === "aarch64" ? "q35" : "virt";

Deno.test("versions arm64: a machine of another architecture than the host's is emulated, and refused on KVM by name", () => {
  assert.equal(chooseAccelerator({ accelerator: "auto", machine_type: FOREIGN }), "tcg");
  assert.throws(() => chooseAccelerator({ accelerator: "kvm", machine_type: FOREIGN }), {
    message: /^Cannot use accelerator "kvm": the machine is of (?:aarch64|x86_64)$/,
  });
});

Deno.test("versions arm64: machine_type is the host's unless named, and firmware of a PC is for a PC", () => {
  assert.equal(machineType({ machine_type: "auto" }), Deno.build.arch === "aarch64" ? "virt" : "q35");
  assert.equal(findFirmware({ machine_type: "virt", firmware: "" }, "/usr/bin/qemu-system-aarch64"), "");
  assert.equal(findFirmware({ machine_type: "virt", firmware: "/f" }, "/usr/bin/qemu-system-aarch64"), "/f");
});
