/** Figures of the guest and of its volumes. @module */
import { VolumeUsage_Unit } from "../../proto/csi_pb.ts";
import { filesystemUsages, usageOf } from "../filesystems.ts";
import type { AgentPart } from "../guest.ts";
import { renderMetrics } from "../metrics.ts";

export function metricsPart(): AgentPart {
  let scrapes = 0;
  return {
    getMetrics() {
      scrapes++;
      return { metrics: renderMetrics(scrapes, { procRoot: "/proc", filesystems: filesystemUsages }) };
    },
    getVolumeStats({ volumeGuestPath }) {
      const { bytes, inodes } = usageOf(volumeGuestPath);
      return {
        usage: [{ ...bytes, unit: VolumeUsage_Unit.BYTES }, { ...inodes, unit: VolumeUsage_Unit.INODES }],
        volumeCondition: { abnormal: false, message: "OK" },
      };
    },
  };
}
