/** Cgroups that systemd makes: `--systemd-cgroup`, over a real bus, with a small systemd at its other end. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { FakeSystemd, type Unit } from "./fake_systemd.ts";
import { Box, type Result, RUNTIME, WEIGHT_OF_512_SHARES } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

const isV2 = exists("/sys/fs/cgroup/cgroup.controllers");

/** A container in a scope of `ocitest.slice`. */
class Scoped implements AsyncDisposable {
  readonly box: Box = new Box();
  readonly id: string = this.box.id();
  readonly unit: string = `oci-${this.id}.scope`;
  readonly systemd: FakeSystemd;
  readonly #stack: AsyncDisposableStack;

  constructor(systemd: FakeSystemd, stack: AsyncDisposableStack) {
    this.systemd = systemd;
    this.#stack = stack;
    this.box.spec.linux.cgroupsPath = `ocitest.slice:oci:${this.id}`;
  }

  static async open(): Promise<Scoped> {
    const stack = new AsyncDisposableStack();
    const directory = Deno.makeTempDirSync({ prefix: "oci-systemd-" });
    stack.defer(() => Deno.removeSync(directory, { recursive: true }));
    if (RUNTIME.endsWith("runc")) pretendToRun(stack);
    return new Scoped(stack.use(await FakeSystemd.start(directory)), stack);
  }

  async call(...args: string[]): Promise<Result> {
    return await this.box.call(args, { global: ["--systemd-cgroup"], env: this.systemd.env });
  }

  async ok(...args: string[]): Promise<Result> {
    const result = await this.call(...args);
    assert.equal(result.code, 0, `${args.join(" ")}: ${result.stderr}`);
    return result;
  }

  async run(): Promise<Unit> {
    this.box.sh("sleep 100").save();
    await this.ok("run", "--detach", "--bundle", this.box.bundle, this.id);
    return this.systemd.units.get(this.unit)!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.call("delete", "--force", this.id);
    await this.box[Symbol.asyncDispose]();
    await this.#stack.disposeAsync();
  }
}

/** runc looks for the directory of a systemd that runs. */
function pretendToRun(stack: AsyncDisposableStack): void {
  for (const directory of ["/run/systemd", "/run/systemd/system"]) {
    if (exists(directory)) continue;
    Deno.mkdirSync(directory);
    stack.defer(() => Deno.removeSync(directory));
  }
}

test("systemd: the container is a scope of its slice, with limits that systemd knows", async () => {
  await using scoped = await Scoped.open();
  const { box, id } = scoped;
  Object.assign(box.spec.linux.resources, {
    memory: { limit: 64 << 20 },
    cpu: { shares: 512, quota: 25_000, period: 100_000 },
    pids: { limit: 77 },
  });
  const { properties } = await scoped.run();
  const { pid } = JSON.parse((await scoped.ok("state", id)).stdout);
  for (const [name, value] of Object.entries({ Slice: "ocitest.slice", Delegate: true, DefaultDependencies: false })) {
    assert.equal(properties.get(name), value, name);
  }
  // One process: runc gives its own child, from which the container's comes.
  assert.equal((properties.get("PIDs") as number[]).length, 1);
  for (const name of ["MemoryAccounting", "CPUAccounting", "TasksAccounting"]) assert.ok(properties.get(name), name);
  assert.equal(properties.get(isV2 ? "MemoryMax" : "MemoryLimit"), 64n << 20n);
  assert.equal(properties.get(isV2 ? "CPUWeight" : "CPUShares"), isV2 ? BigInt(WEIGHT_OF_512_SHARES) : 512n);
  assert.equal(properties.get("CPUQuotaPerSecUSec"), 250_000n);
  assert.equal(properties.get("TasksMax"), 77n);
  assert.equal(properties.get("DevicePolicy"), "strict");
  const allowed = (properties.get("DeviceAllow") as [string, string][]).map((entry) => entry.join(" "));
  for (const entry of ["char-* m", "/dev/char/1:3 rwm", "char-pts rwm"]) assert.ok(allowed.includes(entry), entry);

  const groups = Deno.readTextFileSync(`/proc/${pid}/cgroup`).split("\n");
  const path = `/ocitest.slice/${scoped.unit}`;
  for (const name of isV2 ? [""] : ["memory", "pids", "freezer", "devices", "cpuset"]) {
    assert.ok(
      groups.some((line) => line.split(":")[1] === name && line.endsWith(path)),
      `${name}: ${groups.join(" ")}`,
    );
  }
  const file = isV2 ? `${path}/pids.max` : `/pids${path}/pids.max`;
  assert.equal(Deno.readTextFileSync(`/sys/fs/cgroup${file}`), "77\n");
});

test("systemd: exec joins the scope, update tells systemd, delete stops the unit", async () => {
  await using scoped = await Scoped.open();
  const { id } = scoped;
  const unit = await scoped.run();
  const { stdout } = await scoped.ok("exec", id, "/bin/cat", "/proc/self/cgroup");
  assert.match(stdout, new RegExp(`${isV2 ? "0:" : ":memory"}:/ocitest.slice/${scoped.unit}\n`));
  await scoped.ok("update", "--pids-limit", "55", "--memory", "80M", id);
  assert.equal(unit.properties.get("TasksMax"), 55n);
  assert.equal(unit.properties.get(isV2 ? "MemoryMax" : "MemoryLimit"), 80n << 20n);
  await scoped.ok("delete", "--force", id);
  assert.ok(unit.isStopped);
  assert.deepEqual(unit.directories.filter(exists), []);
  assert.equal((await scoped.call("state", id)).code, 1);
});

test("systemd: annotations set properties of the unit", async () => {
  await using scoped = await Scoped.open();
  scoped.box.spec.annotations = {
    "org.systemd.property.TimeoutStopUSec": "uint64 123456789",
    "org.systemd.property.CollectMode": "'inactive-or-failed'",
  };
  const { properties } = await scoped.run();
  assert.equal(properties.get("TimeoutStopUSec"), 123456789n);
  assert.equal(properties.get("CollectMode"), "inactive-or-failed");
});

testEach([
  { what: "a cgroupsPath of another form", cgroupsPath: "/some/where" },
  { what: "a slice that is none", cgroupsPath: "a/b:oci:x" },
])("systemd: $what is refused, and nothing is left", async ({ cgroupsPath }) => {
  await using scoped = await Scoped.open();
  scoped.box.spec.linux.cgroupsPath = cgroupsPath;
  scoped.box.save();
  const { code, stderr } = await scoped.call("create", "--bundle", scoped.box.bundle, scoped.id);
  assert.equal(code, 1);
  assert.match(stderr, /slice/);
  assert.equal((await scoped.call("state", scoped.id)).code, 1);
});

test("systemd: where there is none, create fails and leaves nothing", async () => {
  await using box = new Box();
  const id = box.id();
  box.spec.linux.cgroupsPath = `ocitest.slice:oci:${id}`;
  box.save();
  const options = { global: ["--systemd-cgroup"], env: { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${box.dir}/nobody` } };
  const { code, stderr } = await box.call(["create", "--bundle", box.bundle, id], options);
  assert.equal(code, 1);
  assert.match(stderr, /systemd/);
  assert.equal((await box.call(["state", id])).code, 1);
});
