/** Containers through the agent's API, from create to remove. */
import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { processToProto } from "../../src/agent_api/spec_codec.ts";
import { AgentBox, decode, type ProcessName, processOf } from "./agent_box.ts";

function init(containerId: string): ProcessName {
  return { containerId, execId: "" };
}

function hasCode(code: Code): (error: unknown) => boolean {
  return (error) => error instanceof ConnectError && error.code === code;
}

Deno.test("a container runs: both outputs to their ends, its status, and removal", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "s1", hostname: "pod" });
  const script = "echo out; echo err >&2; hostname; id -u; exit 7";
  const ended = await box.run("c1", box.spec(["sh", "-c", script]));
  assert.deepEqual(ended, { status: 7, stdout: "out\npod\n0\n", stderr: "err\n" });
  await assert.rejects(box.agent.waitProcess(init("c1")), hasCode(Code.NotFound));
});

Deno.test("output that was written before the exit is read after it, by any number of waiters", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sh", "-c", "seq 1 5000; exit 3"]));
  const waiting = [box.agent.waitProcess(init("c1")), box.agent.waitProcess(init("c1"))];
  await new Promise((resolve) => setTimeout(resolve, 200));
  const out = decode(await box.readAll("readStdout", init("c1")));
  assert.equal(out.trim().split("\n").length, 5000);
  assert.deepEqual((await Promise.all(waiting)).map(({ status }) => status), [3, 3]);
  assert.equal((await box.agent.waitProcess(init("c1"))).status, 3);
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("standard input of 100 MB arrives whole, and its end is seen", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["md5sum"]));
  const block = crypto.getRandomValues(new Uint8Array(64 * 1024));
  const blocks = 1600;
  const digest = new Deno.Command("md5sum", { stdin: "piped", stdout: "piped" }).spawn();
  const writer = digest.stdin.getWriter();
  for (let sent = 0; sent < blocks; sent++) {
    block[0] = sent & 0xff;
    const { len } = await box.agent.writeStdin({ ...init("c1"), data: block });
    assert.equal(len, block.length);
    await writer.write(block.slice());
  }
  await writer.close();
  await box.agent.closeStdin(init("c1"));
  const { stdout } = await box.end(init("c1"));
  assert.equal(stdout, decode((await digest.output()).stdout));
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("writing waits while nobody reads, and an empty write closes standard input", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sh", "-c", "sleep 0.5; cat | wc -c"]));
  const data = new Uint8Array(300_000);
  const begun = Date.now();
  await box.agent.writeStdin({ ...init("c1"), data });
  assert.ok(Date.now() - begun > 300, "the pipe was full");
  await box.agent.writeStdin({ ...init("c1"), data: new Uint8Array() });
  assert.equal((await box.end(init("c1"))).stdout, "300000\n");
  await assert.rejects(box.agent.writeStdin({ ...init("c1"), data }), hasCode(Code.FailedPrecondition));
});

Deno.test("exec: its own streams and status, several at once, ids free again when all is known", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sleep", "100"]));
  const exec = async (execId: string, args: string[]) => {
    await box.agent.execProcess({ containerId: "c1", execId, process: processToProto(processOf(args)) });
    return await box.end({ containerId: "c1", execId });
  };
  const ended = await Promise.all([1, 2, 3].map((n) => exec(`e${n}`, ["sh", "-c", `echo out${n}; exit ${n}`])));
  assert.deepEqual(ended, [1, 2, 3].map((n) => ({ status: n, stdout: `out${n}\n`, stderr: "" })));
  assert.equal((await exec("e1", ["true"])).status, 0, "the id can be used again");
  assert.match((await exec("ps", ["ps"])).stdout, /sleep 100/);
  await assert.rejects(exec("none", ["no-such-program"]), /no-such-program/);
  await assert.rejects(box.agent.waitProcess({ containerId: "c1", execId: "none" }), hasCode(Code.NotFound));
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("a background child that holds the output open does not keep an exec from ending", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sleep", "100"]));
  const process = processToProto(processOf(["sh", "-c", "sleep 60 & echo begun"]));
  await box.agent.execProcess({ containerId: "c1", execId: "e", process });
  assert.deepEqual(await box.end({ containerId: "c1", execId: "e" }), { status: 0, stdout: "begun\n", stderr: "" });
});

Deno.test.each([
  { signal: 15, status: 143, script: "trap 'exit 143' TERM; echo up; while :; do sleep 0.1; done" },
  { signal: 9, status: 137, script: "echo up; sleep 100" },
  { signal: 2, status: 42, script: "trap 'exit 42' INT; echo up; while :; do sleep 0.1; done" },
])("signal $signal to an init ends it with $status (B1)", async ({ signal, status, script }) => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sh", "-c", script]));
  await box.readUntil(init("c1"), "up");
  await box.agent.signalProcess({ ...init("c1"), signal });
  assert.equal((await box.agent.waitProcess(init("c1"))).status, status);
  await box.agent.signalProcess({ ...init("c1"), signal });
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("SIGTERM ends an init that does nothing about it as any other process (B1)", async () => {
  await using box = await AgentBox.start();
  await box.start("c1", box.spec(["sleep", "100"]));
  await box.agent.execProcess({ containerId: "c1", execId: "e", process: processToProto(processOf(["sleep", "99"])) });
  await box.agent.signalProcess({ containerId: "c1", execId: "e", signal: 15 });
  assert.equal((await box.agent.waitProcess({ containerId: "c1", execId: "e" })).status, 143);
  await box.agent.signalProcess({ ...init("c1"), signal: 15 });
  assert.equal((await box.agent.waitProcess(init("c1"))).status, 143);
});

Deno.test("containers share IPC, UTS and, on request, the PID namespace; killing one spares the other (B7)", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "c1", hostname: "pod" });
  const show = "for n in ipc uts pid mnt; do readlink /proc/self/ns/$n; done; echo up; sleep 99 & wait";
  await box.create("c1", box.spec(["sh", "-c", show]), { sandboxPidns: true });
  await box.create("c2", box.spec(["sh", "-c", show]), { sandboxPidns: true });
  const lines: string[][] = [];
  for (const containerId of ["c1", "c2"]) {
    await box.agent.startContainer({ containerId });
    lines.push((await box.readUntil(init(containerId), "up")).trim().split("\n"));
  }
  const [[ipc1, uts1, pid1, mnt1] = [], [ipc2, uts2, pid2, mnt2] = []] = lines;
  assert.deepEqual([ipc1, uts1, pid1], [ipc2, uts2, pid2]);
  assert.notEqual(mnt1, mnt2);
  await box.agent.signalProcess({ ...init("c2"), signal: 9 });
  assert.equal((await box.agent.waitProcess(init("c2"))).status, 137);
  await box.agent.removeContainer({ containerId: "c2" });
  await box.agent.execProcess({ containerId: "c1", execId: "ps", process: processToProto(processOf(["ps"])) });
  const { stdout } = await box.end({ containerId: "c1", execId: "ps" });
  assert.equal(stdout.match(/0 +sleep 99$/gm)?.length, 1, `only the first container's is left: ${stdout}`);
  await box.agent.destroySandbox({});
});

Deno.test("pods A14: a container that is to see another one's processes sees these, and neither the pod's nor its own alone", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "pod", hostname: "pod" });
  for (const id of ["pod", "c1", "c2"]) {
    await box.start(id, box.spec(["sh", "-c", `sh -c 'sleep 4321; : ${id}'; :`]));
  }
  const ps = box.spec(["ps"]);
  await box.create("debug", ps, { targetPidns: "c1" });
  await box.agent.startContainer({ containerId: "debug" });
  const { stdout } = await box.end(init("debug"));
  assert.match(stdout, /^ *1 .*: c1/m, "its first process is the first");
  assert.doesNotMatch(stdout, /: c2|: pod/);
  await assert.rejects(box.create("late", ps, { targetPidns: "none" }), hasCode(Code.NotFound));
  await box.agent.signalProcess({ ...init("c1"), signal: 9 });
  await box.agent.waitProcess(init("c1"));
  await assert.rejects(box.create("late", ps, { targetPidns: "c1" }), hasCode(Code.NotFound));
  await box.agent.destroySandbox({});
});

Deno.test("pods B12: what Kata's messages lack of a specification is carried out: scheduler, priorities, personality, domain", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "s1", hostname: "pod" });
  const show =
    "cat /proc/self/sched | head -1; uname -m; cat /proc/sys/kernel/domainname; cut -d' ' -f19,41 /proc/self/stat";
  const spec = box.spec(["sh", "-c", show], {
    process: {
      scheduler: { policy: "SCHED_BATCH", nice: 5 },
      ioPriority: { class: "IOPRIO_CLASS_IDLE", priority: 0 },
    },
    domainname: "example.org",
  });
  spec.linux!.personality = { domain: "LINUX32" };
  spec.linux!.resources = { hugepageLimits: [{ pageSize: "7GB", limit: 0 }] };
  const { status, stdout, stderr } = await box.run("c1", spec);
  assert.equal(status, 0, stderr);
  const [, machine, domain, numbers] = stdout.trim().split("\n");
  assert.deepEqual([domain, numbers], ["example.org", "5 3"], "nice, and the number of SCHED_BATCH");
  if (Deno.build.arch === "x86_64") assert.equal(machine, "i686");
});

Deno.test("a refused request names its fault and leaves nothing behind", async () => {
  await using box = await AgentBox.start();
  const spec = box.spec(["true"]);
  await box.run("warm", spec);
  const before = box.usage();
  await assert.rejects(box.create("../c", spec), hasCode(Code.InvalidArgument));
  await assert.rejects(box.agent.createContainer({ containerId: "c1" }), hasCode(Code.InvalidArgument));
  await assert.rejects(
    box.create("c1", spec, { devices: [{ id: "00/02", type: "vfio-pci", containerPath: "/dev/vfio/1" }] }),
    (error) => hasCode(Code.Unimplemented)(error) && /"vfio-pci"/.test(String(error)),
  );
  const storages = [
    { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mountPoint: "/run/kata-containers/sandbox/ephemeral/v" },
    { driver: "nvdimm", source: "/dev/pmem1", mountPoint: "/run/kata-containers/m" },
  ];
  await assert.rejects(box.create("c1", spec, { storages }), /"nvdimm"/);
  await assert.rejects(box.create("c1", box.spec(["no-such-program"])), /no-such-program/);
  assert.deepEqual(box.usage(), before);
  await box.start("c1", box.spec(["sleep", "9"]));
  await assert.rejects(box.create("c1", spec), hasCode(Code.AlreadyExists));
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("thirty containers with execs leave no descriptor, process or mount behind", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "s1" });
  await box.run("warm", box.spec(["true"]));
  const before = box.usage();
  for (let round = 0; round < 30; round++) {
    await box.start("c1", box.spec(["sleep", "100"], { process: { terminal: round % 3 === 0 } }));
    await box.agent.execProcess({ containerId: "c1", execId: "e", process: processToProto(processOf(["echo", "hi"])) });
    assert.equal((await box.end({ containerId: "c1", execId: "e" })).stdout, "hi\n");
    await box.agent.removeContainer({ containerId: "c1" });
  }
  assert.deepEqual(box.usage(), before);
});

Deno.test("the bundle's config.json has integers of 64 bits as they were given", async () => {
  await using box = await AgentBox.start();
  const spec = box.spec(["true"]);
  spec.process!.rlimits = [{ type: "RLIMIT_CORE", soft: 9223372036854775807n, hard: 18446744073709551615n }];
  await box.create("c1", spec);
  const text = Deno.readTextFileSync(`/proc/${box.pid}/root/run/kata-containers/c1/config.json`);
  assert.match(text, /"hard":18446744073709551615\b/);
  assert.match(text, /"soft":9223372036854775807\b/);
  await box.agent.removeContainer({ containerId: "c1" });
});

Deno.test("pods A17: sysctls of the network are refused by name where the machine is not the agent's, with mapped ids too", async () => {
  await using box = await AgentBox.start();
  await box.agent.createSandbox({ sandboxId: "s1" });
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  for (const mapped of [{}, { uidMappings: mappings, gidMappings: mappings }]) {
    const spec = box.spec(["true"]);
    const namespaces = [
      ...spec.linux?.namespaces ?? [],
      ...("uidMappings" in mapped ? [{ type: "user" as const }] : []),
    ];
    spec.linux = { ...spec.linux, ...mapped, namespaces, sysctl: { "net.ipv4.ip_unprivileged_port_start": "1024" } };
    await assert.rejects(box.start("c1", spec), /"net\.ipv4\.ip_unprivileged_port_start" needs a network namespace/);
  }
});
