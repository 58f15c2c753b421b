/** Terminals, limits, freezing, memory events, storages and files through the agent's API. */
import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { processToProto, resourcesToProto } from "../../src/agent_api/spec_codec.ts";
import type { StorageSchema } from "../../src/proto/agent_pb.ts";
import { GUEST_PATH } from "../../src/agent_api/names.ts";
import { AgentBox, decode, type ProcessName, processOf } from "./agent_box.ts";

function init(containerId: string): ProcessName {
  return { containerId, execId: "" };
}

function hasCode(code: Code): (error: unknown) => boolean {
  return (error) => error instanceof ConnectError && error.code === code;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("a terminal: one stream, its size, its end", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sh"], { process: { terminal: true } }));
  await box.agent.ttyWinResize({ ...init("c1"), row: 33, column: 111 });
  await box.agent.writeStdin({ ...init("c1"), data: encode("stty size; tty; echo E$((1+1))\n") });
  const text = await box.readUntil(init("c1"), "E2");
  assert.match(text, /33 111/);
  assert.match(text, /\/dev\/(pts\/0|console)/);
  assert.equal((await box.agent.readStderr({ ...init("c1"), len: 10 })).data.length, 0);
  await box.agent.writeStdin({ ...init("c1"), data: encode("exit 5\n") });
  assert.equal((await box.end(init("c1"))).status, 5);
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("an exec with a terminal, and UNAVAILABLE for the size of one without", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sleep", "100"]));
  const process = processToProto(processOf(["sh", "-c", "tty && echo done"], { terminal: true }));
  await box.agent.execProcess({ containerId: "c1", execId: "e", process });
  const { status, stdout } = await box.end({ containerId: "c1", execId: "e" });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /done/);
  await assert.rejects(box.agent.ttyWinResize({ ...init("c1"), row: 1, column: 1 }), hasCode(Code.Unavailable));
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("statistics, new limits, pause and resume", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"]));
  await box.readUntil(init("c1"), "3\n");
  const { cgroupStats } = await box.agent.statsContainer({ containerId: "c1" });
  assert.ok(cgroupStats!.cpuStats!.cpuUsage!.totalUsage > 0n);
  assert.ok(cgroupStats!.memoryStats!.usage!.usage > 0n);
  assert.ok(cgroupStats!.pidsStats!.current >= 1n);
  const limit = 64 << 20;
  await box.agent.updateContainer({
    containerId: "c1",
    resources: resourcesToProto({ memory: { limit }, pids: { limit: 50 } }),
  });
  const changed = (await box.agent.statsContainer({ containerId: "c1" })).cgroupStats!;
  assert.equal(changed.memoryStats!.usage!.limit, BigInt(limit));
  assert.equal(changed.pidsStats!.limit, 50n);
  await box.agent.pauseContainer({ containerId: "c1" });
  await readFor(box, 150);
  assert.equal(await readFor(box, 150), "", "a paused container writes nothing");
  await box.agent.resumeContainer({ containerId: "c1" });
  assert.notEqual(await readFor(box, 300), "");
  await box.agent.pauseContainer({ containerId: "c1" });
  await box.agent.removeContainer({ containerId: "c1" });
});

/** Reads what the container writes within a while. */
async function readFor(box: AgentBox, ms: number): Promise<string> {
  const until = Date.now() + ms;
  let text = "";
  while (Date.now() < until) {
    const timeoutMs = Math.max(1, until - Date.now());
    const reading = box.agent.readStdout({ ...init("c1"), len: 4096 }, { timeoutMs });
    text += decode((await reading.catch(() => ({ data: new Uint8Array() }))).data);
  }
  return text;
}

Deno.test("GetOOMEvent names the container that ran out of memory", async () => {
  await using box = await AgentBox.start();
  const linux = { resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } };
  const waiting = box.agent.getOOMEvent({});
  await box.start("c1", box.spec(["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1; true"], { linux }));
  assert.equal((await waiting).containerId, "c1");
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("pods A9: GetOOMEvent names the only container of a sandbox, which has the sandbox's own id", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "c1" });
  const linux = { resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } };
  const waiting = box.agent.getOOMEvent({}, { timeoutMs: 20_000 });
  await box.start("c1", box.spec(["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"], { linux }));
  assert.equal((await waiting).containerId, "c1");
  assert.equal((await box.end(init("c1"))).status, 137);
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("storages: a tmpfs with its size (B16), a directory for two containers, gone with the last", async () => {
  await using box = await AgentBox.start();
  const shm = {
    driver: "ephemeral",
    source: "shm",
    fstype: "tmpfs",
    options: ["noexec", "nosuid", "nodev", "mode=1777", "size=1048576"],
    mountPoint: GUEST_PATH.shm,
  };
  await box.agent.createSandbox({ sandboxId: "s1", storages: [shm] });
  const local = {
    driver: "local",
    source: "local",
    options: ["mode=0777"],
    mountPoint: "/run/kata-containers/local-v",
    shared: false,
  };
  const show = "stat -f -c '%b %S' /dev/shm; ls -A /v; touch /v/$HOSTNAME; stat -c %a /v; sleep 99";
  const before = box.usage();
  for (const containerId of ["c1", "c2"]) {
    const spec = box.spec(["sh", "-c", `export HOSTNAME=${containerId}; ${show}`]);
    const bind = { type: "bind", options: ["rbind", "rw"] };
    spec.mounts!.push({ ...bind, destination: "/dev/shm", source: GUEST_PATH.shm });
    spec.mounts!.push({ ...bind, destination: "/v", source: local.mountPoint });
    await box.create(containerId, spec, { storages: [local] });
    await box.agent.startContainer({ containerId });
    const text = await box.readUntil(init(containerId), "777");
    assert.match(text, /^256 4096\n/);
    if (containerId === "c2") assert.match(text, /^c1$/m);
  }
  await box.agent.updateEphemeralMounts({ storages: [{ ...shm, options: ["size=2097152"] }] });
  const { usage } = await box.agent.getVolumeStats({ volumeGuestPath: GUEST_PATH.shm });
  assert.equal(usage[0]?.total, 2097152n);
  const remounts = [
    { ...shm, mountPoint: "/run", options: ["size=65536"] },
    { ...local, fstype: "tmpfs", options: ["ro"] },
    { ...shm, driver: "local" },
    { ...shm, options: ["bind"] },
  ];
  for (const storage of remounts) {
    await assert.rejects(box.agent.updateEphemeralMounts({ storages: [storage] }), hasCode(Code.InvalidArgument));
  }
  for (const containerId of ["c1", "c2"]) await box.agent.removeContainer({ containerId });
  assert.throws(() => Deno.statSync(`/proc/${box.pid}/root${local.mountPoint}`), Deno.errors.NotFound);
  assert.deepEqual(box.usage().mounts, before.mounts);
});

Deno.test("a storage where another one is already is refused by name, and what is there stays as it is", async () => {
  await using box = await AgentBox.start();
  const data = { driver: "ephemeral", source: "data", fstype: "tmpfs", mountPoint: `${GUEST_PATH.ephemeral}/data` };
  await box.agent.createSandbox({ sandboxId: "s1", storages: [data] });
  const before = box.usage();
  for (const other of [{ ...data, source: "cache" }, { ...data, driver: "local" }]) {
    const creating = box.create("c1", box.spec(["true"]), { storages: [other] });
    await assert.rejects(creating, (error) => {
      assert.ok(error instanceof ConnectError && error.code === Code.AlreadyExists);
      assert.match(error.message, new RegExp(`"${other.source}" of driver "${other.driver}" at .*"data" of driver`));
      return true;
    });
  }
  assert.deepEqual(box.usage().mounts, before.mounts);
  await box.create("c1", box.spec(["true"]), { storages: [data] });
  await box.agent.removeContainer({ containerId: "c1" });
  assert.deepEqual(box.usage().mounts, before.mounts);
});

const ELSEWHERE: MessageInitShape<typeof StorageSchema>[] = [
  { driver: "local", source: "local", options: ["mode=0777"], mountPoint: "/run/of-nobody" },
  { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mountPoint: "/run/of-nobody" },
  { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mountPoint: "/run" },
  { driver: "overlayfs", source: "overlay", fstype: "overlay", mountPoint: "/run/of-nobody" },
];

// The places are in the agent's own /run: whatever goes wrong here goes wrong there.
Deno.test("storages elsewhere are refused, and nothing is made or mounted there", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "s1" });
  const before = box.usage();
  for (const storage of ELSEWHERE) {
    const name = `${storage.driver} at ${storage.mountPoint}`;
    const creating = box.create("c1", box.spec(["true"]), { storages: [storage] });
    await assert.rejects(creating, hasCode(Code.PermissionDenied), name);
    const starting = box.agent.createSandbox({ sandboxId: "s1", storages: [storage] });
    await assert.rejects(starting, hasCode(Code.PermissionDenied), name);
  }
  assert.throws(() => Deno.lstatSync(`/proc/${box.pid}/root/run/of-nobody`), Deno.errors.NotFound);
  assert.deepEqual(box.usage().mounts, before.mounts);
});

Deno.test("memory is a tmpfs or hugetlbfs that is new, and shows nothing that is there already", async () => {
  await using box = await AgentBox.start();
  const before = box.usage();
  const memory = { driver: "ephemeral", source: "/proc", fstype: "tmpfs", mountPoint: `${GUEST_PATH.ephemeral}/v` };
  for (const storage of [{ ...memory, options: ["rbind"] }, { ...memory, fstype: "proc" }]) {
    await assert.rejects(box.create("c1", box.spec(["true"]), { storages: [storage] }), hasCode(Code.InvalidArgument));
  }
  assert.deepEqual(box.usage().mounts, before.mounts);
});

Deno.test("a root file system of layers in the guest, writable on request (B17)", async () => {
  await using box = await AgentBox.start();
  const before = box.usage();
  const rootfs = `${GUEST_PATH.containers}/c1/rootfs`;
  const storage = {
    driver: "overlayfs",
    source: "overlay",
    fstype: "overlay",
    options: [`lowerdir=${box.directory}/rootfs`, "io.katacontainers.fs-opt.overlay-rw"],
    mountPoint: rootfs,
  };
  const script = "touch /new && ls /new && grep ' / ' /proc/self/mounts";
  await box.create("c1", box.spec(["sh", "-c", script], { root: { path: rootfs } }), { storages: [storage] });
  await box.agent.startContainer({ containerId: "c1" });
  assert.match((await box.end(init("c1"))).stdout, /^\/new\noverlay \/ overlay rw/);
  await box.agent.removeContainer({ containerId: "c1" });
  assert.deepEqual(box.usage().mounts, before.mounts);
  assert.throws(() => Deno.statSync(`${box.directory}/rootfs/new`), Deno.errors.NotFound);
});

Deno.test("CopyFile reaches a container, and a hostile one writes nothing (B8)", async () => {
  await using box = await AgentBox.start();
  const volume = `${GUEST_PATH.passthrough}/v`;
  const data = encode("configured\n");
  await box.agent.copyFile({ path: `${volume}/f`, fileMode: 0o100644, fileSize: BigInt(data.length), data });
  const spec = box.spec(["cat", "/v/f"]);
  spec.mounts!.push({ type: "bind", options: ["rbind", "ro"], destination: "/v", source: volume });
  assert.equal((await box.run("c1", spec)).stdout, "configured\n");
  const hostile = { fileMode: 0o100644, fileSize: 1n, data: encode("x") };
  for (const path of ["/etc/kata-hostile", `${volume}/../../../../../../etc/kata-hostile`]) {
    await assert.rejects(box.agent.copyFile({ path, ...hostile }), hasCode(Code.PermissionDenied));
  }
  assert.throws(() => Deno.lstatSync(`/proc/${box.pid}/root/etc/kata-hostile`), Deno.errors.NotFound);
});

Deno.test("what the agent tells of itself; calls of later work answer UNIMPLEMENTED", async () => {
  await using box = await AgentBox.start();
  const { agentDetails } = await box.agent.getGuestDetails({ memBlockSize: true, memHotplugProbe: true });
  assert.ok(agentDetails!.storageHandlers.includes("virtio-fs"));
  assert.equal((await box.health.version({})).grpcVersion, "0.0.1");
  assert.match((await box.agent.getMetrics({})).metrics, /^kata_guest_meminfo\{item="mem_total"\} \d+$/m);
  await box.agent.reseedRandomDev({ data: crypto.getRandomValues(new Uint8Array(64)) });
  await box.agent.onlineCPUMem({ nbCpus: 0, cpuOnly: true });
  await assert.rejects(box.agent.resizeVolume({}), hasCode(Code.Unimplemented));
  await assert.rejects(box.agent.resizeVolume({}), hasCode(Code.Unimplemented));
});
