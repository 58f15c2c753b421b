/**
 * Kata's own `agent-ctl` on our agent. Needs root, and `KATA_AGENT_CTL`, the path of that program, which is in no package:
 * without it the fake clients of `katas_clients_test.ts` speak alone.
 */
import assert from "node:assert/strict";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { AgentBox } from "./agent_box.ts";

const AGENT_CTL = Deno.env.get("KATA_AGENT_CTL") ?? "";
/** Where it looks for the specification of each container. */
const TEMPLATE_DIRECTORY = "/opt/kata/share/defaults/kata-containers/agent-ctl";
const SHARED = "/run/kata-containers/shared/containers";

const SIGTERM = 15;
const EXEC = { User: { UID: 0, GID: 0 }, Args: ["sleep", "100"], Env: ["PATH=/bin"], Cwd: "/" };

const NAMESPACES = ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type }));

/** The agent's mount namespace with what the program takes for an image: `skopeo` does nothing, `umoci` makes the bundle. */
async function prepare(box: AgentBox, args: readonly string[]): Promise<void> {
  const { root: _root, ...template } = box.spec([""]);
  const { cgroupsPath } = template.linux!;
  const devices = [{ allow: false, access: "rwm" }];
  const linux = { cgroupsPath, namespaces: NAMESPACES, resources: { devices } };
  const capabilities = { bounding: ["CAP_CHOWN"], effective: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"] };
  const process = { ...template.process, capabilities };
  const files = {
    "template.json": { ...template, process, root: { path: "rootfs" }, linux },
    "config.json": {
      ociVersion: "1.2.0",
      process: { args, cwd: "/", user: { uid: 0, gid: 0 } },
      root: { path: "rootfs" },
    },
  };
  for (const [name, value] of Object.entries(files)) {
    Deno.writeTextFileSync(`${box.directory}/${name}`, JSON.stringify(value));
  }
  const tools = { skopeo: "exit 0", umoci: `cp -a ${box.directory}/rootfs ${box.directory}/config.json "$4"` };
  for (const [name, script] of Object.entries(tools)) {
    Deno.writeTextFileSync(`${box.directory}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  const place = `mount -t tmpfs t /opt && mkdir -p ${TEMPLATE_DIRECTORY} && ` +
    `cp ${box.directory}/template.json ${TEMPLATE_DIRECTORY}/oci_config.json`;
  assert.deepEqual(await inBox(box, "sh", "-c", place), { success: true, said: "" });
}

async function inBox(box: AgentBox, ...command: string[]): Promise<{ success: boolean; said: string }> {
  const env = { PATH: `${box.directory}:${Deno.env.get("PATH")}` };
  const args = ["-t", `${box.pid}`, "-m", "--", ...command];
  const { success, stdout, stderr } = await new Deno.Command("nsenter", { args, env }).output();
  return { success, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

/** Calls of one connection, one after the other. @returns What each of them was answered, as the program shows it. */
async function call(box: AgentBox, ...commands: string[]): Promise<string> {
  const address = `unix://${box.directory}/agent.sock`;
  const { success, said } = await inBox(
    box,
    AGENT_CTL,
    "-l",
    "debug",
    "connect",
    ...["-n", "true"],
    "--server-address",
    address,
    "-c",
    ...commands,
  );
  assert.ok(success, said);
  return said;
}

function bytesOf(text: string): number[] {
  return [...new TextEncoder().encode(text)];
}

function json(name: string, value: unknown): string {
  return `${name} json://${JSON.stringify(value)}`;
}

Deno.test({
  name: "wire: Kata's agent-ctl runs a container from its creation to its removal, and all calls about a machine",
  ignore: leftOut(import.meta, AGENT_CTL === "" && "KATA_AGENT_CTL names no agent-ctl"),
  async fn() {
    await using box = await AgentBox.start();
    await prepare(box, ["sh", "-c", "echo said; exec cat"]);
    const containerId = "container-of-agent-ctl"; // its beginning is a host name
    const id = { container_id: containerId, exec_id: "" };
    const machine = await call(
      box,
      ...["Check", "Version", json("CreateSandbox", { sandbox_id: "s1", hostname: "pod" }), "GetMetrics"],
      json("GetGuestDetails", { mem_block_size: true, mem_hotplug_probe: true }),
      ...["ListInterfaces", "ListRoutes", json("UpdateRoutes", { routes: { Routes: [] } })],
      json("CreateContainer", { image: "any", id: containerId }),
      json("StartContainer", { container_id: containerId }),
      ...[json("StatsContainer", { container_id: containerId }), json("PauseContainer", { container_id: containerId })],
      json("ResumeContainer", { container_id: containerId }),
      json("ExecProcess", { container_id: containerId, exec_id: "e1", process: EXEC }),
      json("SignalProcess", { container_id: containerId, exec_id: "e1", signal: SIGTERM }),
      json("WaitProcess", { container_id: containerId, exec_id: "e1" }),
      json("UpdateContainer", { container_id: containerId, resources: { Memory: { Limit: 64 << 20 } } }),
    );
    assert.match(machine, new RegExp(`WaitProcessResponse . status: ${128 + SIGTERM},`));
    assert.match(machine, /kata_guest_meminfo.{1,12}mem_total/);
    const streams = await call(
      box,
      json("ReadStdout", { ...id, len: 100 }),
      json("WriteStdin", { ...id, data: bytesOf("typed\n") }),
      ...[json("CloseStdin", id), json("ReadStdout", { ...id, len: 100 }), json("WaitProcess", id)],
      json("RemoveContainer", { container_id: containerId, timeout: 10 }),
    );
    // The program shows bytes by their numbers.
    for (const text of ["said\n", "typed\n"]) assert.match(streams, new RegExp(`data: .${bytesOf(text).join(", ")}.,`));
    Deno.writeTextFileSync(`${box.directory}/file`, "content");
    await call(
      box,
      json("CopyFile", { src: `${box.directory}/file`, dest: `${SHARED}/copied/file` }),
      "DestroySandbox",
    );
  },
});
