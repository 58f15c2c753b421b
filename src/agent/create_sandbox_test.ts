import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { CreateSandboxRequestSchema } from "../proto/agent_pb.ts";
import { createSandbox } from "./create_sandbox.ts";
import type { Guest } from "./guest.ts";
import { Sandbox } from "./sandbox.ts";

Deno.test("createSandbox() makes nothing more in a guest whose sandbox has ended", async () => {
  const sandbox = new Sandbox();
  await sandbox[Symbol.asyncDispose]();
  const guest = { sandbox } as Guest;
  const request = create(CreateSandboxRequestSchema, { sandboxId: "s1", dns: ["nameserver 192.0.2.1"] });
  const { signal } = new AbortController();
  await assert.rejects(createSandbox(guest, request, { signal }), { code: "FAILED_PRECONDITION" });
});
