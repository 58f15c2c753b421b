/** Configuration files of any text, and annotations of any pod: nothing but what is allowed changes. @module */
import { parse, stringify } from "smol-toml";
import { applyAnnotations } from "../../../src/config/annotations.ts";
import { checkConfig, type HostFacts } from "../../../src/config/check.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { type Config, defaultConfig } from "../../../src/config/schema.ts";
import { planMachine } from "../../../src/hypervisor/qemu/plan.ts";
import { qemuArgs } from "../../../src/hypervisor/qemu/args.ts";
import { vmConfigOf } from "../../../src/sandbox/machine/vm_config.ts";
import { startSize } from "../../../src/resources/sizing.ts";
import { configuredSizes } from "../../../src/config/sizes.ts";
import { defineTarget, hold } from "../core/target.ts";
import { anyText, mutateText, textLike } from "../core/text.ts";
import { type Json, mutateJson } from "../core/values.ts";

const SHIPPED = Deno.readTextFileSync(new URL("../../../config/configuration-qemu.toml", import.meta.url));
const HOST: HostFacts = { cpus: 4, memoryMiB: 8192, fileProblem: () => undefined, programProblem: () => undefined };

export const configuration = defineTarget({
  name: "config",
  rounds: 300,
  make: (random) =>
    random.once(2) ? mutateText(random, SHIPPED) : tomlOf(mutateJson(random, parse(SHIPPED) as Json, 8)),
  run(text, { inside }) {
    const path = `${inside}/configuration.toml`;
    Deno.writeTextFileSync(path, text.toWellFormed());
    const { config } = loadConfig({ defaultPaths: [path] });
    checkConfig(config, HOST);
    argumentsOf(config);
  },
});

/** Writes TOML; values that it cannot say become text. */
function tomlOf(value: Json): string {
  try {
    return stringify(JSON.parse(JSON.stringify(value, (_key, held) => held ?? undefined)));
  } catch {
    return JSON.stringify(value);
  }
}

const PREFIX = "io.katacontainers.config.";
const ALLOWED = ["default_vcpus", "kernel_params", "default_mem.*"];
/** Refused, with all beside them. */
const FORBIDDEN = [
  "hypervisor.default_max_vcpus",
  "hypervisor.path",
  "hypervisor.virtio_fs_daemon",
  "hypervisor.enable_annotations",
  "runtime.experimental",
];
const KEYS = [
  "hypervisor.kernel_params",
  "hypervisor.default_vcpus",
  "hypervisor.default_memory",
  "runtime.disable_guest_seccomp",
  "runtime.create_container_timeout",
  "agent.kernel_modules",
];
const VALUES = [
  "1",
  "2.5",
  "512",
  "true",
  "false",
  "a=1 b",
  "e1000e x=1; i915",
  "-1",
  'x="y z"',
  "root=/dev/vdb",
  "init=/bin/sh",
];
/** Settings that the allowed keys may change. */
const MAY_CHANGE = new Set([
  "hypervisor.default_vcpus",
  "hypervisor.kernel_params",
  "hypervisor.default_memory",
  "hypervisor.default_maxmemory",
  "hypervisor.default_maxvcpus",
  "runtime.disable_guest_seccomp",
  "agent.create_container_timeout",
  "agent.kernel_modules",
]);

export const annotations = defineTarget({
  name: "annotations",
  rounds: 1500,
  make: (random) =>
    random.times(random.between(1, 8), (): [string, string] => [
      random.once(10) ? anyText(random) : PREFIX + textLike(random, random.once(20) ? FORBIDDEN : KEYS),
      textLike(random, VALUES),
    ]),
  run(pairs) {
    const base = configOfHost();
    const config = applyAnnotations(base, Object.fromEntries(pairs));
    for (const each of [config, base]) checkConfig(each, HOST);
    for (const table of ["hypervisor", "agent", "runtime", "factory"] as const) {
      for (const [key, value] of Object.entries(config[table])) {
        const same = JSON.stringify(value) === JSON.stringify(Reflect.get(base[table], key));
        hold(same || MAY_CHANGE.has(`${table}.${key}`), `an annotation does not change ${table}.${key}`);
      }
    }
    checkArguments(base, config);
  },
});

function configOfHost(): Config {
  const config = defaultConfig();
  Object.assign(config.hypervisor, { image: "/image", kernel: "/kernel", enable_annotations: ALLOWED });
  return config;
}

/** An annotation gives QEMU other values, never another argument. */
function checkArguments(before: Config, after: Config): void {
  const [, ours] = [before, after].map(argumentsOf);
  const names = (args: readonly string[]) => args.filter((word) => word.startsWith("-")).join(" ");
  hold(names(argumentsOf(before)) === names(ours!), "an annotation adds no argument to QEMU's command line");
}

function argumentsOf(config: Config): string[] {
  const { hypervisor } = config;
  if (hypervisor.kind !== "qemu") return [];
  const size = startSize(config.runtime, { sizes: configuredSizes(config.hypervisor, HOST) });
  const { machine } = planMachine({
    id: "fuzz",
    config: hypervisor,
    vm: vmConfigOf(config, { size }),
    accelerator: "tcg",
    firmware: "",
    runDir: "/run/fuzz",
    channel: { kind: "virtio-serial", socket: "/run/fuzz/agent.sock" },
    isHostDevice: () => false,
  });
  const args = qemuArgs(machine);
  // The kernel's command line is one argument, whatever its text.
  return args.filter((_word, at) => args[at - 1] !== "-append");
}
