/**
 * Rules of a runtime that only a machine with a real systemd and cgroups v2 alone can show. Run by `systemd_test.ts`
 * inside such a machine, hence not named as a test.
 *
 * @module
 */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { Box, host, type Result, WEIGHT_OF_512_SHARES } from "../oci/runtime.ts";
import { test } from "../oci/suite.ts";
import { until } from "../support/wait.ts";

const CGROUPS = "/sys/fs/cgroup";

/** Properties of a unit, as systemd itself words them. */
async function show(unit: string, ...names: string[]): Promise<Record<string, string>> {
  const text = await host("systemctl", "show", unit, ...names.map((name) => `--property=${name}`));
  return Object.fromEntries(text.split("\n").map((line) => line.split(/=(.*)/s).slice(0, 2)));
}

/** Calls with --systemd-cgroup. */
async function scoped(box: Box, ...args: string[]): Promise<Result> {
  const result = await box.call(args, { global: ["--systemd-cgroup"] });
  assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}`);
  return result;
}

test("scope: systemd has it with all limits, update changes them, delete ends it", async () => {
  await using box = new Box();
  const id = box.id();
  const unit = `oci-${id}.scope`;
  box.spec.linux.cgroupsPath = `ocitest.slice:oci:${id}`;
  Object.assign(box.spec.linux.resources, {
    memory: { limit: 64 << 20 },
    cpu: { shares: 512, quota: 25_000, period: 100_000 },
    pids: { limit: 77 },
  });
  box.sh("sleep 100").save();
  await scoped(box, "run", "--detach", "--bundle", box.bundle, id);
  const { pid } = await box.state(id);
  const controlGroup = `/ocitest.slice/${unit}`;
  const wanted = {
    ActiveState: "active",
    Slice: "ocitest.slice",
    Delegate: "yes",
    ControlGroup: controlGroup,
    MemoryMax: String(64 << 20),
    TasksMax: "77",
    CPUWeight: WEIGHT_OF_512_SHARES,
    CPUQuotaPerSecUSec: "250ms",
    DevicePolicy: "strict",
  };
  assert.deepEqual(await show(unit, ...Object.keys(wanted)), wanted);
  assert.ok(Deno.readTextFileSync(`/proc/${pid}/cgroup`).startsWith(`0::${controlGroup}`));
  const read = (file: string) => Deno.readTextFileSync(`${CGROUPS}${controlGroup}/${file}`).trim();
  assert.deepEqual(
    ["memory.max", "pids.max", "cpu.weight", "cpu.max"].map(read),
    [String(64 << 20), "77", WEIGHT_OF_512_SHARES, "25000 100000"],
  );
  // systemd writes what it knows again; an update it has not been told of would not last.
  await scoped(box, "update", "--memory", "80M", "--pids-limit", "55", id);
  await host("systemctl", "daemon-reload");
  assert.deepEqual(await show(unit, "MemoryMax", "TasksMax"), { MemoryMax: String(80 << 20), TasksMax: "55" });
  assert.deepEqual(["memory.max", "pids.max"].map(read), [String(80 << 20), "55"]);
  assert.match((await scoped(box, "exec", id, "/bin/cat", "/proc/self/cgroup")).stdout, new RegExp(controlGroup));
  await scoped(box, "delete", "--force", id);
  await until(async () => (await show(unit, "ActiveState")).ActiveState === "inactive");
  assert.ok(!exists(`${CGROUPS}${controlGroup}`));
});

test("v2: devices that are not allowed cannot be opened, those that are can", async () => {
  await using box = new Box();
  const use = "for n in 5 11; do mknod /tmp/$n c 1 $n; head -c 1 /tmp/$n >/dev/null 2>&1 && echo $n; done; true";
  const { stdout, stderr } = await box.sh(use).run();
  assert.equal(stdout, "5\n", stderr);
});

test("v2: unified sets files of the cgroup by name", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.linux.resources.unified = { "memory.high": String(48 << 20), "pids.max": "66" };
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const directory = `${CGROUPS}${box.spec.linux.cgroupsPath}`;
  const read = (file: string) => Deno.readTextFileSync(`${directory}/${file}`).trim();
  assert.deepEqual([read("memory.high"), read("pids.max")], [String(48 << 20), "66"]);
});

test("v2: pause freezes the cgroup, delete --force kills all that is in it", async () => {
  await using box = new Box();
  const id = box.id();
  box.sh("for i in 1 2 3 4 5; do sleep 100 & done; wait").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const directory = `${CGROUPS}${box.spec.linux.cgroupsPath}`;
  const members = () => Deno.readTextFileSync(`${directory}/cgroup.procs`).trim().split("\n");
  await until(() => members().length === 6);
  const isFrozen = () => Deno.readTextFileSync(`${directory}/cgroup.events`).includes("frozen 1");
  await box.ok("pause", id);
  assert.deepEqual([(await box.state(id)).status, isFrozen()], ["paused", true]);
  await box.ok("resume", id);
  assert.deepEqual([(await box.state(id)).status, isFrozen()], ["running", false]);
  const pids = members();
  await box.ok("delete", "--force", id);
  assert.ok(!exists(directory));
  assert.deepEqual(pids.filter((pid) => exists(`/proc/${pid}`)), []);
});
