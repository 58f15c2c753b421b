import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { DeviceSchema } from "../proto/agent_pb.ts";
import { deviceFromWire, devicesToWire, type GuestDevice } from "./device.ts";

Deno.test.each<{ device: GuestDevice }>([
  { device: { driver: "scsi", source: "3:0", containerPath: "/dev/xvda" } },
  { device: { driver: "blk", source: "02/00", containerPath: "/dev/xvda" } },
  { device: { driver: "mmioblk", source: "/dev/vdb", containerPath: "/dev/xvda" } },
])("deviceFromWire() reads what devicesToWire() writes: $device.driver", ({ device }) => {
  const [message] = devicesToWire([device]);
  assert.deepEqual(deviceFromWire(create(DeviceSchema, message)), device);
});

Deno.test.each([
  { type: "vfio-pci", id: "1", containerPath: "/dev/x", code: "UNIMPLEMENTED" },
  { type: "constructor", id: "1", containerPath: "/dev/x", code: "UNIMPLEMENTED" },
  { type: "scsi", id: "", containerPath: "/dev/x", code: "INVALID_ARGUMENT" },
  { type: "scsi", id: "1:0", containerPath: "", code: "INVALID_ARGUMENT" },
])('deviceFromWire() refuses "$type" with id "$id" at "$containerPath": $code', ({ code, ...fields }) => {
  assert.throws(() => deviceFromWire(create(DeviceSchema, fields)), { code });
});
