/** Resources and seccomp profiles as the agent's protocol has them. @module */
import type * as wire from "../proto/oci_pb.ts";
import {
  anyList,
  anyText,
  type Codec,
  count,
  count64,
  deviceNumber,
  flag,
  int64,
  list,
  message,
  number64,
  plainList,
  text,
  textMap,
  type TotalCodec,
  truth,
  uint32,
  word,
  wrapped64,
} from "./codec.ts";
import { isForAnyDevice } from "./peers.ts";
import type * as spec from "../oci/spec/spec.ts";

const ANY = -1n;

const ruleFields = message<spec.DeviceRule, wire.LinuxDeviceCgroup>({
  allow: ["Allow", truth],
  type: ["Type", word<spec.DeviceType>()],
  major: ["Major", deviceNumber],
  minor: ["Minor", deviceNumber],
  access: ["Access", text],
}, { major: ANY, minor: ANY });

const deviceRule: TotalCodec<spec.DeviceRule, wire.LinuxDeviceCgroup> = {
  ...ruleFields,
  decode: (value) => ruleFields.decode(isForAnyDevice(value) ? { ...value, Major: ANY, Minor: ANY } : value),
};

const memory = message<spec.MemoryResources, wire.LinuxMemory>({
  limit: ["Limit", int64],
  reservation: ["Reservation", int64],
  swap: ["Swap", int64],
  kernel: ["Kernel", int64],
  kernelTCP: ["KernelTCP", int64],
  swappiness: ["Swappiness", wrapped64],
  disableOOMKiller: ["DisableOOMKiller", flag],
  useHierarchy: { notCarried: "the protocol has no field for it, and all groups of today's kernels are hierarchies" },
  checkBeforeUpdate: ["CheckBeforeUpdate", flag],
});

const cpu = message<spec.CpuResources, wire.LinuxCPU>({
  shares: ["Shares", int64],
  quota: ["Quota", int64],
  period: ["Period", int64],
  realtimeRuntime: ["RealtimeRuntime", int64],
  realtimePeriod: ["RealtimePeriod", int64],
  cpus: ["Cpus", text],
  mems: ["Mems", text],
  burst: ["Burst", count64],
  idle: ["Idle", count64],
});

const weightDevice = message<spec.WeightDevice, wire.LinuxWeightDevice>({
  major: ["Major", number64],
  minor: ["Minor", number64],
  weight: ["Weight", uint32],
  leafWeight: ["LeafWeight", uint32],
});

const throttles = list(message<spec.ThrottleDevice, wire.LinuxThrottleDevice>({
  major: ["Major", number64],
  minor: ["Minor", number64],
  rate: ["Rate", count64],
}));

const blockIo = message<spec.BlockIoResources, wire.LinuxBlockIO>({
  weight: ["Weight", uint32],
  leafWeight: ["LeafWeight", uint32],
  weightDevice: ["WeightDevice", list(weightDevice)],
  throttleReadBpsDevice: ["ThrottleReadBpsDevice", throttles],
  throttleWriteBpsDevice: ["ThrottleWriteBpsDevice", throttles],
  throttleReadIOPSDevice: ["ThrottleReadIOPSDevice", throttles],
  throttleWriteIOPSDevice: ["ThrottleWriteIOPSDevice", throttles],
});

const hugepageLimit = message<spec.HugepageLimit, wire.LinuxHugepageLimit>({
  pageSize: ["Pagesize", anyText],
  limit: ["Limit", count64],
});

const network = message<spec.NetworkResources, wire.LinuxNetwork>({
  classID: ["ClassID", uint32],
  priorities: [
    "Priorities",
    list(message<spec.InterfacePriority, wire.LinuxInterfacePriority>({
      name: ["Name", anyText],
      priority: ["Priority", count],
    })),
  ],
});

export const resources: Codec<spec.Resources, wire.LinuxResources> = message<spec.Resources, wire.LinuxResources>({
  devices: ["Devices", list(deviceRule)],
  memory: ["Memory", memory],
  cpu: ["CPU", cpu],
  pids: ["Pids", message<NonNullable<spec.Resources["pids"]>, wire.LinuxPids>({ limit: ["Limit", int64] })],
  blockIO: ["BlockIO", blockIo],
  hugepageLimits: ["HugepageLimits", list(hugepageLimit)],
  network: ["Network", network],
  rdma: { notCarried: "the protocol has no field for it, and the guest has no such devices" },
  unified: ["Unified", textMap],
});

const seccompArgument = message<spec.SeccompArgument, wire.LinuxSeccompArg>({
  index: ["Index", number64],
  value: ["Value", count64],
  valueTwo: ["ValueTwo", int64],
  op: ["Op", anyText],
});

const errnoReturn: Codec<number, wire.LinuxSyscall["ErrnoRet"]> = {
  encode: (value) => ({ case: "errnoret", value }),
  // 0 stands for none in Kata's clients in Rust.
  decode: (field) => field.value || undefined,
};

const ruleOfCalls = message<spec.SeccompRule, wire.LinuxSyscall>({
  names: ["Names", anyList<string>()],
  action: ["Action", anyText],
  errnoRet: ["ErrnoRet", errnoReturn],
  args: ["Args", list(seccompArgument)],
});

/** A call that is to return 0 without being made has a field of ours. */
const seccompRule: TotalCodec<spec.SeccompRule, wire.LinuxSyscall> = {
  ...ruleOfCalls,
  encode: (value) => ({ ...ruleOfCalls.encode(value), ReturnsZero: value.errnoRet === 0 }),
  decode: (value) => ({ ...ruleOfCalls.decode(value), ...(value.ReturnsZero && { errnoRet: 0 }) }),
};

export const seccomp: Codec<spec.Seccomp, wire.LinuxSeccomp> = message<spec.Seccomp, wire.LinuxSeccomp>({
  defaultAction: ["DefaultAction", anyText],
  architectures: ["Architectures", plainList<string>()],
  flags: ["Flags", plainList<string>()],
  syscalls: ["Syscalls", list(seccompRule)],
  defaultErrnoRet: ["DefaultErrnoRet", count],
  listenerPath: { notCarried: "the socket is the host's" },
  listenerMetadata: { notCarried: "the socket that it goes to is the host's" },
});
