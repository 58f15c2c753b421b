/** Parts of a configuration's `process`. @module */
import fc from "fast-check";
import { type Part, part } from "./plan.ts";

const bool = fc.boolean();
const of = fc.constantFrom;

const CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_ADMIN",
  "CAP_SETPCAP",
  "CAP_SYS_ADMIN",
  "CAP_SYS_CHROOT",
  "CAP_SYS_NICE",
];
const capabilitySet = fc.option(fc.subarray(CAPABILITIES), { nil: undefined });

const RLIMITS = ["AS", "CORE", "CPU", "DATA", "MEMLOCK", "MSGQUEUE", "NPROC", "SIGPENDING", "STACK"];

export const PROCESS = {
  user: part(
    fc.record({ uid: of(0, 1000, 65534, 123456), gid: of(0, 1000, 7) }),
    ({ spec }, user) => Object.assign(spec.process.user, user),
  ),
  groups: part(
    fc.uniqueArray(of(0, 5, 2000, 70000), { minLength: 1 }),
    ({ spec }, gids) => spec.process.user.additionalGids = gids,
  ),
  umask: part(of(0, 0o22, 0o77, 0o777), ({ spec }, umask) => spec.process.user.umask = umask),
  capabilities: part(
    fc.record({
      bounding: capabilitySet,
      effective: capabilitySet,
      permitted: capabilitySet,
      inheritable: capabilitySet,
      ambient: capabilitySet,
    }),
    ({ spec }, { effective, inheritable, ...sets }) => {
      // More is an error for runc, or for the kernel.
      const within = (set?: string[], limit?: string[]) => set?.filter((name) => limit?.includes(name));
      spec.process.capabilities = {
        ...sets,
        effective: within(effective, sets.permitted),
        inheritable: within(inheritable, sets.bounding),
      };
    },
  ),
  "the same capabilities in all sets": part(fc.subarray(CAPABILITIES), ({ spec }, set) => {
    const names = ["bounding", "effective", "permitted", "inheritable", "ambient"];
    spec.process.capabilities = Object.fromEntries(names.map((name) => [name, set]));
  }),
  "no capabilities": part(fc.constant(null), ({ spec }) => delete spec.process.capabilities),
  "an unknown capability": part(
    of("CAP_NO_SUCH", "NONE"),
    ({ spec }, name) => {
      const { bounding = [], ...sets } = spec.process.capabilities ?? {};
      spec.process.capabilities = { ...sets, bounding: [...bounding, name] };
    },
  ),
  "new privileges": part(bool, ({ spec }, value) => spec.process.noNewPrivileges = !value),
  rlimits: part(
    fc.uniqueArray(fc.record({ type: of(...RLIMITS), soft: of(0, 1, 5), hard: of(5, 10) }), {
      selector: ({ type }) => type,
      minLength: 1,
      maxLength: 4,
    }),
    ({ spec }, rlimits) => {
      // Below what the probe itself needs there would be nothing to see.
      const size = (type: string, value: number) =>
        ["AS", "DATA", "STACK", "CPU"].includes(type)
          ? (value + 1) * 1e8
          : type === "NPROC"
          ? (value + 1) * 1000
          : value;
      spec.process.rlimits = rlimits.map(({ type, soft, hard }) => ({
        type: `RLIMIT_${type}`,
        soft: size(type, soft),
        hard: size(type, hard),
      }));
    },
  ),
  "no rlimits": part(fc.constant(null), ({ spec }) => delete spec.process.rlimits),
  oomScoreAdj: part(of(0, 500, 1000), ({ spec }, score) => spec.process.oomScoreAdj = score),
  env: part(
    fc.array(of("A=b", "A=c", "EMPTY=", "EQUALS=a=b", "HOME=/tmp", "SPACE=a b", "LONG=" + "x".repeat(3000), "Ü=ß"), {
      minLength: 1,
    }),
    ({ spec }, env) => spec.process.env.push(...env),
  ),
  "no env": part(fc.constant(null), ({ spec }) => spec.process.env = ["PATH=/bin"]),
  cwd: part(of("/tmp", "/new/cwd", "/etc/link", "/tmp/", "/etc/../tmp"), ({ spec }, cwd) => {
    spec.process.cwd = cwd;
  }),
  program: part(of("sh", "./bin/sh", "/bin/../bin/sh", "bin/sh"), ({ spec }, program) => {
    spec.process.args[0] = program;
  }),
  terminal: part(
    fc.option(fc.record({ height: of(0, 24, 50), width: of(80, 132) }), { nil: undefined }),
    (plan, size) => {
      const { spec } = plan;
      plan.hasConsole = true;
      spec.process.terminal = true;
      if (size !== undefined) spec.process.consoleSize = size;
    },
  ),
} satisfies Record<string, Part>;
