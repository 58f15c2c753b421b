/** Figures of the guest. @module */
import { filesystemUsages } from "../machine/filesystems.ts";
import type { AgentMethods } from "../guest.ts";
import { renderMetrics } from "../machine/metrics.ts";

/** Counts how often it is asked. */
export function metricsMethods(): AgentMethods {
  let scrapes = 0;
  return {
    getMetrics() {
      scrapes++;
      return { metrics: renderMetrics(scrapes, { procRoot: "/proc", filesystems: filesystemUsages }) };
    },
  };
}
