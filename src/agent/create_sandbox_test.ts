import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { createLogger } from "../base/log.ts";
import { CreateSandboxRequestSchema } from "../proto/agent_pb.ts";
import { defaultAgentOptions } from "../agent_api/options.ts";
import { createSandbox } from "./create_sandbox.ts";
import { DeviceWaiter } from "./devices/waiter.ts";
import { Sandbox } from "./sandbox.ts";

Deno.test("createSandbox() makes nothing more in a guest whose sandbox has ended", async () => {
  const sandbox = new Sandbox();
  await sandbox[Symbol.asyncDispose]();
  const guest = {
    options: defaultAgentOptions(),
    log: createLogger({ sink: () => {} }),
    isInit: false,
    sandbox,
    devices: new DeviceWaiter(),
    signal: new AbortController().signal,
    shutDown: () => {},
  };
  const request = create(CreateSandboxRequestSchema, { sandboxId: "s1", dns: ["nameserver 192.0.2.1"] });
  await assert.rejects(createSandbox(guest, request, guest), { code: "FAILED_PRECONDITION" });
});
