/** Sizes that whoever writes the resources asks for: a size within the limits, or one refusal, soon. @module */
import { defaultConfig } from "../../../src/config/schema.ts";
import { type ConfiguredSizes, configuredSizes } from "../../../src/config/sizes.ts";
import { parseResources, type Spec } from "../../../src/oci/spec/spec.ts";
import { demandOf, dynamicSize, sandboxDemand, staticSize } from "../../../src/resources/sizing.ts";
import { defineTarget, hold } from "../core/target.ts";
import { textLike } from "../core/text.ts";
import { mutateJson } from "../core/values.ts";

const CPUSETS = ["0", "0-3", "0-1,3", "0-8191", "7,5,3"];
const KEYS = ["cpu-quota", "cpu-period", "memory"].map((key) => `io.kubernetes.cri.sandbox-${key}`);
const NUMBERS = ["100000", "50000", "134217728", "-1", "0"];

export const sizing = defineTarget({
  name: "sizing",
  rounds: 4000,
  make: (random) =>
    random.once(2)
      ? {
        resources: JSON.stringify(mutateJson(random, {
          cpu: { quota: random.integer(), period: random.integer(), cpus: textLike(random, CPUSETS) },
          memory: { limit: random.integer() },
        }, 3)),
      }
      : { annotations: Object.fromEntries(KEYS.map((key) => [key, textLike(random, NUMBERS)])) },
  run({ resources, annotations }: { resources?: string; annotations?: Record<string, string> }) {
    const sizes = hostSizes();
    const demand = resources === undefined
      ? sandboxDemand({ annotations } as Partial<Spec> as Spec)
      : demandOf(parseResources(resources));
    for (const size of [staticSize(demand, sizes), dynamicSize([demand, demand], sizes)]) {
      hold(Number.isSafeInteger(size.vcpus) && size.vcpus > 0, "the number of vCPUs is a whole number above zero");
      hold(
        Number.isSafeInteger(size.memoryMiB) && size.memoryMiB > 0,
        "the memory is a whole number of MiB above zero",
      );
    }
  },
});

function hostSizes(): ConfiguredSizes {
  return configuredSizes(defaultConfig().hypervisor, { cpus: 4, memoryMiB: 8192 });
}
