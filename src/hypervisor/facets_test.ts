import assert from "node:assert/strict";
import { facetOf } from "./facets.ts";
import type { Hotplug } from "./hypervisor.ts";

Deno.test("facetOf() gives what the monitor has, and refuses by name what it lacks", () => {
  const hotplug: Hotplug = { plug: async () => ({ bus: "mmio", path: "/dev/vdb" }), unplug: async () => {} };
  assert.equal(facetOf({ name: "full", hotplug }, "hotplug", "plug it"), hotplug);
  const refusal = (facet: "hotplug" | "resize" | "snapshot") => () => facetOf({ name: "bare" }, facet, "have it");
  assert.throws(refusal("hotplug"), {
    code: "UNIMPLEMENTED",
    message: 'Cannot have it: monitor "bare" takes no device while its VM runs',
  });
  assert.throws(refusal("resize"), {
    message: 'Cannot have it: monitor "bare" cannot change the size of a VM that runs',
  });
  assert.throws(refusal("snapshot"), { message: 'Cannot have it: monitor "bare" cannot save a VM' });
});
