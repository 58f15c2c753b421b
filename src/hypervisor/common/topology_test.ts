import assert from "node:assert/strict";
import { PcieTopology } from "./topology.ts";

Deno.test("PcieTopology.assign() gives slots in order, never that of the host bridge", () => {
  const bus = new PcieTopology();
  assert.deepEqual([bus.assign("root"), bus.assign("rng")], ["01", "02"]);
  assert.equal(bus.path("rng"), "02");
});

Deno.test("PcieTopology.take() puts a device behind a free root port and release() frees it", () => {
  const bus = new PcieTopology();
  bus.assign("root");
  bus.addPort();
  bus.addPort();
  assert.equal(bus.take("disk").id, "rp0");
  assert.equal(bus.take("net").id, "rp1");
  assert.equal(bus.path("net"), "02.1/00");
  assert.throws(() => bus.take("late"), {
    message: 'Cannot plug "late": all 2 root ports are in use (pcie_root_port)',
  });
  bus.release("disk");
  assert.equal(bus.path("disk"), undefined);
  assert.equal(bus.take("late").id, "rp0");
});

Deno.test("PcieTopology.addPort() gives eight ports one slot of the root bus", () => {
  const bus = new PcieTopology();
  const slots = Array.from({ length: 9 }, () => bus.addPort().slot);
  assert.deepEqual([slots[0], slots[7], slots[8]], ["01", "01.7", "02"]);
  assert.deepEqual(bus.ports.map(({ number }) => number), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("PcieTopology.assign() refuses more devices than the root bus has slots", () => {
  const bus = new PcieTopology();
  for (let i = 1; i <= 30; i++) bus.assign(`d${i}`);
  assert.equal(bus.path("d30"), "1e");
  assert.throws(() => bus.assign("d31"), RangeError);
});
