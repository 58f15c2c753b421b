/** `runk update`: changes the limits of a container while it runs. @module */
import { parseSize } from "../../../base/size.ts";
import { Container } from "../../../oci/container/container.ts";
import { parseResources, type Resources } from "../../../oci/spec/spec.ts";
import { type Command, defineCommand, homeOf } from "../command.ts";
import type { Flags } from "../flags.ts";

const FLAGS = {
  resources: {
    kind: "text",
    aliases: ["r"],
    value: "FILE",
    help: "the specification's resources as JSON, - for stdin",
  },
  "blkio-weight": { kind: "text", value: "NUMBER", help: "block I/O weight, 10 to 1000" },
  "cpu-period": { kind: "text", value: "US", help: "CFS period in microseconds" },
  "cpu-quota": { kind: "text", value: "US", help: "CFS quota in microseconds per period, -1 for none" },
  "cpu-burst": { kind: "text", value: "US", help: "CFS burst in microseconds" },
  "cpu-share": { kind: "text", value: "NUMBER", help: "CPU shares relative to siblings" },
  "cpu-rt-period": { kind: "text", value: "US", help: "realtime period in microseconds" },
  "cpu-rt-runtime": { kind: "text", value: "US", help: "realtime runtime in microseconds" },
  "cpuset-cpus": { kind: "text", value: "LIST", help: "CPUs, such as 0-2,5" },
  "cpuset-mems": { kind: "text", value: "LIST", help: "memory nodes" },
  "cpu-idle": { kind: "text", value: "0|1", help: "SCHED_IDLE for the cgroup" },
  memory: { kind: "text", value: "SIZE", help: "memory limit, -1 for none" },
  "memory-reservation": { kind: "text", value: "SIZE", help: "soft memory limit" },
  "memory-swap": { kind: "text", value: "SIZE", help: "memory and swap together, -1 for no limit" },
  "kernel-memory": { kind: "text", value: "SIZE", help: "ignored: the kernel has dropped it" },
  "kernel-memory-tcp": { kind: "text", value: "SIZE", help: "ignored: the kernel has dropped it" },
  "pids-limit": { kind: "text", value: "NUMBER", help: "most processes, -1 for no limit" },
  "l3-cache-schema": { kind: "text", value: "SCHEMA", help: "Intel RDT, which is not supported" },
  "mem-bw-schema": { kind: "text", value: "SCHEMA", help: "Intel RDT, which is not supported" },
} as const;

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Changes the resource limits of a container. Sizes take a unit, such as 64M.",
  flags: FLAGS,
  words: [1, 1],
  async run({ global, flags, args }) {
    if (flags["l3-cache-schema"] !== undefined || flags["mem-bw-schema"] !== undefined) {
      throw new Error("Cannot update Intel RDT: runk does not support it");
    }
    const container = Container.load(args[0]!, homeOf(global));
    await container.update(flags.resources === undefined ? resourcesOf(flags) : await readResources(flags.resources));
    return 0;
  },
});

async function readResources(path: string): Promise<Resources> {
  try {
    const text = path === "-" ? await new Response(Deno.stdin.readable).text() : Deno.readTextFileSync(path);
    return parseResources(text);
  } catch (cause) {
    throw new Error(`Cannot read resources "${path}"`, { cause });
  }
}

/** Limits that the flags ask for; no other limit is changed. */
export function resourcesOf(flags: Flags<typeof FLAGS>): Resources {
  const integer = (name: keyof typeof FLAGS) => parseInteger(flags[name] as string | undefined, name);
  const size = (name: keyof typeof FLAGS) => parseLimit(flags[name] as string | undefined);
  const memory = defined({
    limit: size("memory"),
    reservation: size("memory-reservation"),
    swap: size("memory-swap"),
  });
  const cpu = defined({
    shares: integer("cpu-share"),
    quota: integer("cpu-quota"),
    burst: integer("cpu-burst"),
    period: integer("cpu-period"),
    realtimePeriod: integer("cpu-rt-period"),
    realtimeRuntime: integer("cpu-rt-runtime"),
    cpus: flags["cpuset-cpus"],
    mems: flags["cpuset-mems"],
    idle: integer("cpu-idle"),
  });
  return defined({
    memory,
    cpu,
    pids: defined({ limit: integer("pids-limit") }),
    blockIO: defined({ weight: integer("blkio-weight") }),
  }) ?? {};
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The object without its undefined members; undefined if none is left. */
function defined<T extends Record<string, unknown>>(object: T): Defined<T> | undefined {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries) as Defined<T>;
}

function parseInteger(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw new RangeError(`Cannot use "${text}" for --${name}: expected a whole number`);
  return Number(text);
}

function parseLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return text === "-1" ? -1 : parseSize(text);
}
