/** For tests: a VM's description that says no more than it must. @module */
import type { VmConfig } from "../vm_config.ts";

/** Size of a VM that does not grow. */
export function fixedSize(memoryMiB: number): VmConfig["size"] {
  return { vcpus: 1, maxVcpus: 1, memoryMiB, maxMemoryMiB: memoryMiB };
}

/** A VM of one vCPU and 512 MiB whose kernel is any file. */
export function plainVm(change: Partial<VmConfig> = {}): VmConfig {
  return {
    kernel: "/proc/self/exe",
    kernelParams: { agent: [], user: "" },
    size: fixedSize(512),
    devices: [],
    agent: { hostProof: true },
    console: { isVerbose: false, hasFile: false },
    ...change,
  };
}
