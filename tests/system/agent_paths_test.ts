/** Paths that lead through what containers can write: nothing that the agent does leaves the volume. */
import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { processToProto } from "../../src/agent_api/spec_codec.ts";
import type { Mount } from "../../src/oci/spec/spec.ts";
import type { StorageSchema } from "../../src/proto/agent_pb.ts";
import { DRIVER_OPTION, GUEST_PATH } from "../../src/agent_api/names.ts";
import { AgentBox, processOf } from "./agent_box.ts";
import { swap } from "./swap.ts";

type Storage = MessageInitShape<typeof StorageSchema>;

const VICTIM = "/run/victim";
const SWAP_ROUNDS = Number(Deno.env.get("KATA_TEST_SWAP_ROUNDS") ?? 150);
const BIND = { type: "bind", options: ["rbind", "rw"] };

/** The volumes of a pod, as our runtime asks for them. */
const VOLUMES = {
  memory: { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mountPoint: `${GUEST_PATH.ephemeral}/cache` },
  disk: { driver: "local", source: "local", mountPoint: `${GUEST_PATH.passthrough}/pod/rootfs/local/data` },
} as const satisfies Record<string, Storage>;
type Kind = keyof typeof VOLUMES;

function whole(kind: Kind): Storage {
  return { ...VOLUMES[kind], options: ["mode=0777"], shared: true };
}

/** @param isTold Whether the agent is told of the part as a part; else it is a path like others, as foreign shims send it. */
function part(kind: Kind, path: string, { isTold = true, shared = true } = {}): Storage {
  return {
    driver: "local",
    source: "local",
    mountPoint: `${VOLUMES[kind].mountPoint}/${path}`,
    options: ["mode=0700", "fsgid=4242"],
    driverOptions: isTold ? [`${DRIVER_OPTION.volumePart}${path}`] : [],
    shared,
  };
}

function mountOf(kind: Kind, path = ""): Mount {
  return { ...BIND, destination: "/v", source: `${VOLUMES[kind].mountPoint}${path === "" ? "" : `/${path}`}` };
}

/** An agent, one container that has the whole volume and is hostile, and a directory of the guest as witness. */
class Pod implements AsyncDisposable {
  constructor(readonly box: AgentBox, readonly kind: Kind) {}

  /** @param script What the container does in the volume, at `/v`, first. */
  static async start(kind: Kind, script: string): Promise<Pod> {
    await using undo = new AsyncDisposableStack();
    const box = undo.use(await AgentBox.start());
    const pod = new Pod(box, kind);
    Deno.mkdirSync(`${pod.guest(VICTIM)}/b`, { recursive: true, mode: 0o755 });
    Deno.writeTextFileSync(`${pod.guest(VICTIM)}/b/secret`, "untouched");
    await box.agent.createSandbox({ sandboxId: "s" });
    const spec = box.spec(["sh", "-c", `cd /v && ${script}; echo ready; exec sleep 1000`]);
    spec.mounts!.push(mountOf(kind));
    await box.create("hostile", spec, { storages: [whole(kind)] });
    await box.agent.startContainer({ containerId: "hostile" });
    await box.readUntil({ containerId: "hostile", execId: "" }, "ready");
    undo.move();
    return pod;
  }

  /** A path of the guest, as we see it. */
  guest(path: string): string {
    return `/proc/${this.box.pid}/root${path}`;
  }

  /** Creates a container that mounts a part of the volume and looks at it. @returns What it saw. */
  async look(path: string, storages: readonly Storage[], destination = "/v"): Promise<string> {
    const spec = this.box.spec(["sh", "-c", `ls -A ${destination}; busybox stat -c '%a %g' ${destination}`]);
    spec.mounts!.push({ ...mountOf(this.kind, path), destination });
    await this.box.create("looker", spec, { storages: [whole(this.kind), ...storages] });
    await this.box.agent.startContainer({ containerId: "looker" });
    const { stdout } = await this.box.end({ containerId: "looker", execId: "" });
    await this.box.agent.removeContainer({ containerId: "looker" });
    return stdout;
  }

  /** State that an attack must not change. */
  witness(): unknown {
    const victim = this.guest(VICTIM);
    const names = [...Deno.readDirSync(victim), ...Deno.readDirSync(`${victim}/b`)].map(({ name }) => name).sort();
    const owners = ["/run", "/dev", "/proc", "/sys/fs/cgroup", VICTIM, `${VICTIM}/b`].map((path) => {
      const { mode, uid, gid } = Deno.statSync(this.guest(path));
      return { path, mode, uid, gid };
    });
    return { names, owners, secret: Deno.readTextFileSync(`${victim}/b/secret`), mounts: this.box.usage().mounts };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.box[Symbol.asyncDispose]();
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.PermissionDenied;
}

const KINDS = Object.keys(VOLUMES) as Kind[];
const TARGETS = ["/run", "/proc", "/sys/fs/cgroup", "/dev", VICTIM, "../../../../victim", "/proc/self/root/run"];

for (const kind of KINDS) {
  for (const isTold of [true, false]) {
    const told = isTold ? "a part of it" : "a path below it";
    Deno.test(`F2: ${told} that a container made a link is refused, whatever it leads to (${kind})`, async () => {
      const links = TARGETS.map((target, index) => `busybox ln -s ${target} l${index}`).join(" && ");
      await using pod = await Pod.start(kind, links);
      const before = pod.witness();
      for (const [index, target] of TARGETS.entries()) {
        const storages = [part(kind, `l${index}`, { isTold })];
        await assert.rejects(pod.look(`l${index}`, storages), isRefused, `${target}, with a storage`);
        await assert.rejects(pod.look(`l${index}`, []), isRefused, `${target}, as the source of a mount`);
      }
      assert.deepEqual(pod.witness(), before);
    });

    Deno.test(`F2: nothing is made, owned or mounted through a link in the middle of ${told} (${kind})`, async () => {
      await using pod = await Pod.start(kind, `busybox ln -s ${VICTIM} a && mkdir -p c && busybox ln -s ../a c/d`);
      const before = pod.witness();
      for (const path of ["a/b", "a/new", "a/new/deep", "c/d/b", "c/d/new"]) {
        await assert.rejects(pod.look(path, [part(kind, path, { isTold })]), isRefused, path);
        await assert.rejects(pod.look(path, []), /./, path);
      }
      assert.deepEqual(pod.witness(), before);
    });
  }

  Deno.test(`F2: a link that stays in the volume is followed, what is missing is made as asked (${kind})`, async () => {
    await using pod = await Pod.start(kind, "busybox mkdir -p r1/in && echo >r1/in/file && busybox ln -s r1 now");
    assert.match(
      await pod.look("now/in", [part(kind, "now/in")]),
      /^file\n755 0\n$/,
      "the kubelet takes what is there",
    );
    assert.match(await pod.look("now/in", []), /^file\n/);
    assert.match(await pod.look("x/y", [part(kind, "x/y")]), /^2700 4242\n$/);
    const file = "r1/in/file";
    assert.match(await pod.look(file, [part(kind, file)], "/f"), /^\/f\n644 0\n$/, "a part may be a file");
  });

  Deno.test(`F2: a part of a volume is refused or is one, while its names are exchanged with links (${kind})`, async () => {
    const script = `busybox mkdir -p a/b s/b && echo >a/b/inside && echo >s/b/inside && busybox ln -s ${VICTIM} l`;
    await using pod = await Pod.start(kind, script);
    const before = pod.witness();
    const root = pod.guest(VOLUMES[kind].mountPoint);
    await using _swapping = await swap(`${root}/a`, `${root}/l`);
    let seen = 0;
    for (let round = 0; round < SWAP_ROUNDS; round++) {
      const path = round % 2 === 0 ? "a/b" : `a/made${round}`;
      const storages = round % 3 === 0 ? [] : [part(kind, path)];
      const found = await pod.look(path, storages).catch((error) => error as Error);
      if (found instanceof Error) continue;
      seen++;
      assert.doesNotMatch(found, /secret/);
    }
    assert.ok(seen > 0, "some attempts met the directory");
    assert.deepEqual(pod.witness(), before);
  });
}

Deno.test("F2: what a container put in the way of a part is not followed when the part is let go", async () => {
  await using pod = await Pod.start("disk", "mkdir -p a/b");
  const before = pod.witness();
  const spec = pod.box.spec(["sleep", "1000"]);
  spec.mounts!.push(mountOf("disk", "a/b"));
  const storages = [whole("disk"), part("disk", "a/b", { shared: false, isTold: false })];
  await pod.box.create("other", spec, { storages });
  const root = pod.guest(VOLUMES.disk.mountPoint);
  Deno.renameSync(`${root}/a`, `${root}/was-a`);
  Deno.symlinkSync(VICTIM, `${root}/a`);
  await pod.box.agent.removeContainer({ containerId: "other" });
  const { mounts: _, ...after } = pod.witness() as { mounts: unknown };
  const { mounts: __, ...known } = before as { mounts: unknown };
  assert.deepEqual(after, known);
});

Deno.test("F2: no storage is mounted, no root file system lies, no limit is changed in what containers write", async () => {
  await using pod = await Pod.start("memory", `busybox ln -s ${VICTIM} l && busybox ln -s ${GUEST_PATH.ephemeral} e`);
  const { box } = pod;
  const before = pod.witness();
  const root = VOLUMES.memory.mountPoint;
  const tmpfs = { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", options: [] };
  const overlay = { driver: "overlayfs", source: "overlay", fstype: "overlay" };
  const lowerdir = `lowerdir=${box.directory}/rootfs`;
  const made = `${DRIVER_OPTION.overlayCreateDirectory}${root}/l/upper`;
  const storages: Storage[] = [
    { ...tmpfs, mountPoint: `${root}/new` },
    { ...tmpfs, mountPoint: `${root}/l/b` },
    { ...overlay, options: [lowerdir], mountPoint: `${root}/l/b` },
    { ...overlay, options: [lowerdir], driverOptions: [made], mountPoint: `${GUEST_PATH.containers}/x/rootfs` },
    { ...overlay, options: [`lowerdir=${root}/l/b:${box.directory}/rootfs`], mountPoint: "/run/kata-containers/x/m" },
    { driver: "virtio-fs", source: "tag", fstype: "virtiofs", options: [], mountPoint: `${root}/l/b` },
    { driver: "scsi", source: "0:0", fstype: "ext4", options: [], mountPoint: `${root}/l/b` },
  ];
  for (const storage of storages) {
    const spec = box.spec(["true"]);
    await assert.rejects(box.create("c", spec, { storages: [storage] }), isRefused, JSON.stringify(storage));
  }
  for (const path of [`${root}/l`, `${root}/l/b`, root + "/."]) {
    await assert.rejects(box.create("c", box.spec(["true"], { root: { path } })), /./, path);
  }
  const remount = { ...tmpfs, mountPoint: `${root}/e/cache`, options: ["size=4096"] };
  await assert.rejects(box.agent.updateEphemeralMounts({ storages: [remount] }), isRefused);
  await assert.rejects(box.agent.getVolumeStats({ volumeGuestPath: `${root}/l/b` }), isRefused);
  assert.deepEqual(pod.witness(), before);
});

Deno.test("F2: an ephemeral storage takes the directory away that it made, and leaves one that was there", async () => {
  await using box = await AgentBox.start();
  const guest = (path: string) => `/proc/${box.pid}/root${path}`;
  await box.agent.createSandbox({ sandboxId: "s" });
  const [there, made] = ["there", "made/by/storage"].map((name) => `/run/kata-containers/${name}`) as [string, string];
  Deno.mkdirSync(guest(there));
  const storages = [there, made].map((mountPoint): Storage => ({ ...VOLUMES.memory, mountPoint }));
  await box.create("c", box.spec(["true"]), { storages });
  assert.notEqual(Deno.statSync(guest(made)).dev, Deno.statSync(guest("/run")).dev);
  await box.agent.removeContainer({ containerId: "c", timeout: 0 });
  assert.equal(Deno.statSync(guest(there)).dev, Deno.statSync(guest("/run")).dev);
  assert.throws(() => Deno.statSync(guest(made)), Deno.errors.NotFound);
});

Deno.test("F2: of what the host has shared, no link is followed that a container has put there", async () => {
  await using box = await AgentBox.start();
  const shared = `${GUEST_PATH.passthrough}/v`;
  const guest = `/proc/${box.pid}/root`;
  Deno.mkdirSync(`${guest}${shared}/real/in`, { recursive: true });
  Deno.mkdirSync(`${guest}${VICTIM}/in`, { recursive: true });
  const spec = box.spec(["sh", "-c", `cd /v && busybox ln -s ${VICTIM} l && busybox ln -s real now`]);
  spec.mounts!.push({ ...BIND, destination: "/v", source: shared });
  await box.run("hostile", spec);
  const look = (source: string) => {
    const looker = box.spec(["ls", "-A", "/v"]);
    looker.mounts!.push({ ...BIND, destination: "/v", source });
    return box.run("looker", looker);
  };
  for (const path of ["l", "l/in", "now", "now/in"]) await assert.rejects(look(`${shared}/${path}`), isRefused, path);
  assert.equal((await look(`${shared}/real`)).stdout, "in\n");
});

Deno.test.each([
  { name: "a link to a file of the guest", make: `busybox ln -s ${VICTIM}/b/secret log` },
  { name: "a pipe", make: "busybox mkfifo log" },
  { name: "a directory", make: "busybox mkdir log" },
])(
  "F2: the message of a container's end is no text of $name that another one has put in its place",
  async ({ make }) => {
    await using pod = await Pod.start("memory", "echo >log");
    const { box } = pod;
    const spec = box.spec(["true"], { annotations: { "io.kubernetes.container.terminationMessagePath": "/log" } });
    spec.mounts!.push({ ...mountOf("memory", "log"), destination: "/log" });
    await box.start("ended", spec);
    await box.agent.execProcess({
      containerId: "hostile",
      execId: "attack",
      process: processToProto(processOf(["sh", "-c", `busybox rm /v/log; cd /v && ${make}`])),
    });
    await box.agent.waitProcess({ containerId: "hostile", execId: "attack" });
    const asking = box.agent.getDiagnosticData({ logType: "termination_log", containerId: "ended" }, {
      timeoutMs: 5_000,
    });
    await assert.rejects(
      asking,
      (error) => isRefused(error) || ConnectError.from(error).code === Code.FailedPrecondition,
    );
  },
);

Deno.test.each(["sandbox", "shared"])(
  "F2: a container called %s takes nothing of the agent's along",
  async (containerId) => {
    await using pod = await Pod.start("memory", "echo kept >file");
    const { box } = pod;
    const kept = `${GUEST_PATH.containers}/${containerId}/kept/file`;
    Deno.mkdirSync(pod.guest(`${GUEST_PATH.containers}/${containerId}/kept`), { recursive: true });
    Deno.writeTextFileSync(pod.guest(kept), "");
    const before = pod.witness();
    await box.run(containerId, box.spec(["true"]));
    assert.deepEqual(pod.witness(), before);
    assert.equal(Deno.readTextFileSync(pod.guest(kept)), "");
  },
);

Deno.test.each([
  { name: "climbs", source: "/run/kata-containers/../victim/b" },
  { name: "is a magic link", source: "/proc/self/root/run" },
  { name: "leads through a magic link", source: "/proc/self/cwd/run" },
])("F2: a mount whose source $name is refused", async ({ source }) => {
  await using pod = await Pod.start("memory", "true");
  const spec = pod.box.spec(["ls", "/v"]);
  spec.mounts!.push({ ...BIND, destination: "/v", source });
  await assert.rejects(pod.box.create("c", spec), (error) => {
    return error instanceof ConnectError && [Code.PermissionDenied, Code.InvalidArgument].includes(error.code);
  });
});
