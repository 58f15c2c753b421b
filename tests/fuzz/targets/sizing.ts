/** Sizes that whoever writes the resources asks for: a size within the limits, or one refusal, soon. @module */
import { checkConfig } from "../../../src/config/check.ts";
import { type Config, defaultConfig } from "../../../src/config/schema.ts";
import { parseResources, type Spec } from "../../../src/oci/spec.ts";
import { demandOf, dynamicSize, sandboxDemand, staticSize } from "../../../src/resources/sizing.ts";
import { defineTarget, hold } from "../core/target.ts";
import { textLike } from "../core/text.ts";
import { mutateJson } from "../core/values.ts";

const CPUSETS = ["0", "0-3", "0-1,3", "0-8191", "7,5,3"];
const PREFIX = "io.kubernetes.cri.sandbox-";

export const sizing = defineTarget({
  name: "sizing",
  rounds: 0,
  make: (random) => ({
    resources: JSON.stringify(mutateJson(random, {
      cpu: { quota: random.integer(), period: random.integer(), cpus: textLike(random, CPUSETS) },
      memory: { limit: random.integer() },
    }, 3)),
    annotations: Object.fromEntries(
      ["cpu-quota", "cpu-period", "memory"].map((
        key,
      ) => [PREFIX + key, textLike(random, ["100000", "50000", "134217728", "-1"])]),
    ),
  }),
  run({ resources, annotations }) {
    const config = hostConfig();
    const demand = demandOf(parseResources(resources));
    const pod = sandboxDemand({ annotations } as Partial<Spec> as Spec);
    for (
      const size of [staticSize(demand, config), staticSize(pod, config), dynamicSize([demand, pod, demand], config)]
    ) {
      hold(Number.isSafeInteger(size.vcpus) && size.vcpus > 0, "the number of vCPUs is a whole number above zero");
      hold(
        Number.isSafeInteger(size.memoryMiB) && size.memoryMiB > 0,
        "the memory is a whole number of MiB above zero",
      );
    }
  },
});

/** With limits, as the rules of the configuration fill them in. */
function hostConfig(): Config {
  const config = defaultConfig();
  config.hypervisor.image = "/image";
  return checkConfig(config, {
    cpus: 4,
    memoryMiB: 8192,
    fileProblem: () => undefined,
    programProblem: () => undefined,
  });
}
