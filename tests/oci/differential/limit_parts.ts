/** Parts that limit: resources and the cgroup they are set in. @module */
import fc from "fast-check";
import type { Spec } from "../runtime.ts";
import { type Part, part, type Plan } from "./plan.ts";

const bool = fc.boolean();
const of = fc.constantFrom;

const access = of("r", "w", "m", "rw", "rwm", "mrw");
const rule = fc.oneof(
  fc.record(
    { type: of("a", "b", "c"), major: of(1, 5, 10, 254, -1), minor: of(0, 3, 11, 229, -1), access },
    { requiredKeys: ["access"] }, // runc wants it, though the specification does not
  ).map((rest) => ({ allow: true, ...ofBoth(rest) })),
  // Not of what every container may use: runc allows that again behind all rules.
  of({ allow: false, type: "c", major: 10, minor: 229, access: "rw" }, {
    allow: false,
    type: "b",
    major: 254,
    access: "r",
  }),
);

/** One for both kinds is for all of them: by one that names numbers or letters runc allows all the same, and runk those. */
function ofBoth<T extends { type?: string }>(rest: T): Partial<T> {
  if (rest.type === "b" || rest.type === "c") return rest;
  const { type } = rest;
  return { ...(type !== undefined && { type }), access: "rwm" } as unknown as Partial<T>;
}

const MiB = 1 << 20;

export const LIMITS = {
  "device rules": part(
    fc.record({ isDenied: bool, rules: fc.array(rule, { maxLength: 4 }) }),
    ({ spec }, { isDenied, rules }) => {
      spec.linux.resources.devices = [...isDenied ? [{ allow: false, access: "rwm" }] : [], ...rules];
    },
  ),
  "no device rules": part(fc.constant(null), ({ spec }) => delete spec.linux.resources.devices),
  "no resources": part(fc.constant(null), ({ spec }) => delete spec.linux.resources),
  memory: part(
    fc.record({
      limits: of<Spec>(
        {},
        { limit: 64 * MiB },
        { limit: 64 * MiB, swap: 128 * MiB },
        { limit: 64 * MiB, swap: -1 },
        { limit: -1 },
        { limit: 0, swap: 0 },
      ),
      more: fc.record(
        {
          reservation: of(32 * MiB, -1, 0),
          kernel: of(32 * MiB),
          swappiness: of(0, 60, 100),
          disableOOMKiller: bool,
          useHierarchy: bool,
          checkBeforeUpdate: bool,
        },
        { requiredKeys: [] },
      ),
    }),
    (plan, { limits: given, more }) => limits(plan).memory = { ...given, ...more },
  ),
  cpu: part(
    fc.record(
      {
        shares: of(0, 2, 512, 1024, 262_144),
        quota: of(-1, 0, 20_000, 50_000),
        period: of(0, 50_000, 100_000),
        cpus: of("", "0", "0-1", "1"),
        mems: of("", "0"),
      },
      { requiredKeys: [] },
    ),
    (plan, cpu) => limits(plan).cpu = cpu,
  ),
  "real time": part(
    fc.record({ realtimeRuntime: of(0, 1000), realtimePeriod: of(0, 1_000_000) }, { requiredKeys: [] }),
    (plan, cpu) => limits(plan).cpu = cpu,
  ),
  pids: part(of(-1, 0, 100, 1000), (plan, limit) => limits(plan).pids = { limit }),
  blockIO: part(
    fc.record(
      {
        weight: of(0, 10, 500, 1000),
        throttleReadBpsDevice: of([{ major: 254, minor: 0, rate: MiB }]),
        throttleWriteIOPSDevice: of([{ major: 254, minor: 0, rate: 100 }], []),
      },
      { requiredKeys: [] },
    ),
    (plan, blockIO) => limits(plan).blockIO = blockIO,
  ),
  cgroupsPath: part(
    of("ROOTED", "ROOTED/deep/er", "RELATIVE"),
    ({ spec }, path) => {
      const given: string = spec.linux.cgroupsPath;
      spec.linux.cgroupsPath = path.replace("ROOTED", given).replace("RELATIVE", given.slice(1));
    },
  ),
  "no cgroupsPath": part(fc.constant(null), ({ spec }) => delete spec.linux.cgroupsPath),
} satisfies Record<string, Part>;

function limits({ spec }: Plan): Spec {
  return spec.linux.resources ??= {};
}
