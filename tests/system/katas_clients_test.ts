/** Our agent, called as Kata's shims and its `agent-ctl` call it: see `src/agent_api/peers.ts`. Needs root. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { processToProto } from "../../src/agent_api/spec_codec.ts";
import { specOfRust } from "../../src/agent_api/testing/rust_spec.ts";
import type { Spec } from "../../src/oci/spec/spec.ts";
import { CheckRequestSchema, Health } from "../../src/proto/health_pb.ts";
import { RequestSchema, ResponseSchema } from "../../src/proto/ttrpc_pb.ts";
import { dial } from "../../src/rpc/transport/address.ts";
import { FrameChannel } from "../../src/rpc/ttrpc/channel.ts";
import { FRAME_TYPE } from "../../src/rpc/ttrpc/frame.ts";
import { AgentBox, processOf } from "./agent_box.ts";

const SIGTERM = 15;

function hasCode(code: Code): (error: unknown) => boolean {
  return (error) => error instanceof ConnectError && error.code === code;
}

/** Namespaces, rules and capabilities as engines write them for a plain container. */
function usual(box: AgentBox, script: string): Spec {
  const names = ["CAP_CHOWN", "CAP_KILL"];
  const capabilities = { bounding: names, effective: names, permitted: names };
  const spec = box.spec(["sh", "-c", script], { process: { capabilities } });
  const devices = [{ allow: false, access: "rwm" }];
  return { ...spec, linux: { ...spec.linux, resources: { devices } } };
}

Deno.test("wire W1: a container as Kata's shim in Rust asks for it has its namespaces, capabilities and usual devices", async () => {
  await using box = await AgentBox.start();
  const script = [
    ...["head -c 4 /dev/urandom | wc -c", "head -c 2 /dev/zero | wc -c", "head -c 1 /dev/full | wc -c"],
    ...["echo hidden > /dev/null", "cat /proc/self/status"],
    ...["readlink /proc/self/ns/mnt", "readlink /proc/self/ns/uts"],
  ].join("; ");
  await box.agent.createContainer({ containerId: "c1", OCI: specOfRust(usual(box, script)) });
  await box.agent.startContainer({ containerId: "c1" });
  const { status, stdout, stderr } = await box.end({ containerId: "c1", execId: "" });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
  const [random, zero, full] = stdout.split("\n");
  assert.deepEqual([random, zero, full], ["4", "2", "1"]);
  assert.match(stdout, /CapBnd:\s+0000000000000021\n/);
  for (const kind of ["mnt", "uts"]) assert.ok(!stdout.includes(Deno.readLinkSync(`/proc/${box.pid}/ns/${kind}`)));
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("wire W18: two calls whose stream ids have changed places are both answered", async () => {
  await using box = await AgentBox.start();
  const channel = new FrameChannel(await dial(`unix://${box.directory}/agent.sock`));
  const payload = toBinary(CheckRequestSchema, create(CheckRequestSchema, {}));
  const request = { service: Health.typeName, method: Health.method.check.name, payload };
  const bytes = toBinary(RequestSchema, create(RequestSchema, request));
  for (const streamId of [3, 1]) channel.send(streamId, { type: FRAME_TYPE.request, flags: 0 }, bytes);
  const codes: number[][] = [];
  const answered = Promise.withResolvers<void>();
  const receiving = channel.receive(({ streamId, data }) => {
    codes.push([streamId, fromBinary(ResponseSchema, data).status?.code ?? 0]);
    if (codes.length === 2) answered.resolve();
  });
  await Promise.race([answered.promise, receiving]);
  channel.close();
  await receiving.catch(() => {}); // it was closed under way
  assert.deepEqual(codes.toSorted(), [[1, 0], [3, 0]]);
});

Deno.test("Kata's shim in Go calls a container's first process by the id that it gave it", async () => {
  await using box = await AgentBox.start();
  const name = { containerId: "c1", execId: "c1" };
  await box.create(
    "c1",
    box.spec(["sh", "-c", "trap 'exit 5' TERM; echo on; read line; echo $line; while :; do sleep 1; done"]),
    {
      execId: "c1",
    },
  );
  await box.agent.startContainer({ containerId: "c1" });
  await box.readUntil(name, "on\n");
  await box.agent.writeStdin({ ...name, data: new TextEncoder().encode("in\n") });
  await box.readUntil(name, "in\n");
  await box.agent.signalProcess({ ...name, signal: SIGTERM });
  assert.equal((await box.agent.waitProcess(name)).status, 5);
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("an exec that is called as the container's first process takes its name for good", async () => {
  await using box = await AgentBox.start();
  const name = { containerId: "c1", execId: "c1" };
  await box.create("c1", box.spec(["sleep", "100"]), { execId: "c1" });
  await box.agent.startContainer({ containerId: "c1" });
  await box.agent.execProcess({ ...name, process: processToProto(processOf(["sh", "-c", "exit 3"])) });
  assert.equal((await box.end(name)).status, 3);
  await assert.rejects(box.agent.signalProcess({ ...name, signal: SIGTERM }), hasCode(Code.NotFound));
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("an exec of a file that is not executable is answered with PERMISSION_DENIED, one of none with NOT_FOUND", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sleep", "100"]));
  for (const [path, code] of [["/etc", Code.PermissionDenied], ["/none", Code.NotFound]] as const) {
    const process = processToProto(processOf([path]));
    await assert.rejects(box.agent.execProcess({ containerId: "c1", execId: "e1", process }), hasCode(code), path);
  }
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("wire W14: requests that are empty, or are about nothing, are refused by name", async () => {
  await using box = await AgentBox.start();
  const { agent } = box;
  await assert.rejects(agent.updateInterface({}), hasCode(Code.InvalidArgument));
  await assert.rejects(agent.updateRoutes({}), hasCode(Code.InvalidArgument));
  await assert.rejects(agent.addARPNeighbors({}), hasCode(Code.InvalidArgument));
  await assert.rejects(agent.updateContainer({ containerId: "none" }), hasCode(Code.NotFound));
  await assert.rejects(agent.updateInterface({ interface: { devicePath: "zz" } }), hasCode(Code.InvalidArgument));
  await assert.rejects(agent.addSwap({ PCIPath: [0x20] }), hasCode(Code.InvalidArgument));
  await assert.rejects(agent.addSwap({}), hasCode(Code.InvalidArgument));
});

Deno.test("wire W10: a termination log that is gone is an empty one", async () => {
  await using box = await AgentBox.start();
  const source = `${box.directory}/log`;
  Deno.writeTextFileSync(source, "why");
  const spec = box.spec(["sleep", "100"], {
    annotations: { "io.kubernetes.container.terminationMessagePath": "/log" },
  });
  await box.start("c1", {
    ...spec,
    mounts: [...spec.mounts!, { destination: "/log", source, type: "bind", options: ["bind"] }],
  });
  const ask = async () => (await box.agent.getDiagnosticData({ logType: "termination_log", containerId: "c1" })).data;
  assert.equal(await ask(), "why");
  Deno.removeSync(source);
  assert.equal(await ask(), "");
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("wire W9: what Kata's agent may lack has the codes by which its clients know that", async () => {
  await using box = await AgentBox.start();
  await assert.rejects(box.agent.setPolicy({ policy: "package agent_policy" }), hasCode(Code.NotFound));
  for (const call of [box.agent.memAgentMemcgSet({}), box.agent.memAgentCompactSet({})]) {
    await assert.rejects(call, (error) => hasCode(Code.Internal)(error) && /mem-agent is disabled/.test(`${error}`));
  }
});
