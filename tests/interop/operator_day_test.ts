/**
 * A day of an operator by Kubernetes' interface: what pods commonly ask for, each beside runc in the same node. Needs
 * root, containerd 2.1 (whose own shim for runc is taken), runc, QEMU and dist/guest. See `pod.ts`.
 */
import assert from "node:assert/strict";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { errorChain } from "../../src/base/error.ts";
import type { Message } from "./cri.ts";
import { LOCKING_IMAGE } from "./image.ts";
import { Kubelet } from "./kubelet.ts";
import { type Pod, type PodContainer, PodNode, podReleases, SLEEP, STATE } from "./pod.ts";
import { isInstalled, RUNC } from "./runk.ts";
import { until } from "../support/wait.ts";

const MIB = 2 ** 20;
const RELEASE = podReleases().find(({ version }) => version.startsWith("2."));
/** Handlers of the node; ours is named so that containerd asks it for its features (README). */
const OURS = "kata-with-features";
const HANDLERS = ["runc", OURS] as const;
/** Kind of a seccomp profile that is a file, and pid namespaces, by number. */
const LOCALHOST = 2;
const [USER, FS_GROUP] = [1000, 2000];
const PID = { container: 1, target: 3 } as const;
/** Ids of a pod with a user namespace, as a kubelet chooses them. */
const MAP = [{ host_id: 196_608, container_id: 0, length: 65_536 }];

function plugins(directory: string): string {
  const runtime = (name: string, more: string) =>
    `[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.${name}]\nruntime_type = "io.containerd.runc.v2"\n${more}`;
  return runtime("runc", "") + runtime(OURS, `runtime_path = "${directory}/bin/containerd-shim-kata-v2"\n`);
}

async function startNode(): Promise<PodNode> {
  const path = `${RELEASE!.bin}:${Deno.env.get("PATH")}`;
  const node = await PodNode.start({ release: RELEASE!, plugins, env: { PATH: path } });
  await node.containerd.import(LOCKING_IMAGE);
  // Others than root have to come to the containers' files, as on a real node.
  await Deno.chmod(node.containerd.directory, 0o711);
  return node;
}

interface Day {
  node: PodNode;
  kubelet: Kubelet;
  handler: string;
  test: Deno.TestContext;
}

/** Pods whose clauses fit into one machine. */
async function commonPod({ node, kubelet, handler, test }: Day): Promise<void> {
  await using pod = await node.pod(handler, {}, { handler });
  const app = await pod.run("app", "sleep 4321; :", own());

  await test.step("kubernetes K11: recursiveReadOnly is read-only all through", async () => {
    const host = await kubelet.directory(`${handler}/tree`);
    await kubelet.mount(`${handler}/tree/below`, "-t", "tmpfs", "tmpfs");
    const mount = { host_path: host, container_path: "/tree", readonly: true, recursive_read_only: true };
    const container = await pod.run("recursive", SLEEP, { mounts: [mount] });
    for (const path of ["/tree/file", "/tree/below/file"]) {
      assert.match((await container.tryExec(`echo >${path}`)).stderr, /Read-only file system/, path);
    }
  });
  await test.step("seccomp: the profile that a container asks for holds, for an exec too", async () => {
    const profile = `${node.containerd.directory}/${handler}.json`;
    const syscalls = [{ names: ["sethostname"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }];
    await Deno.writeTextFile(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
    const privileges = { capabilities: { add_capabilities: ["SYS_ADMIN"] } };
    const seccomp = { profile_type: LOCALHOST, localhost_ref: profile };
    const bound = await pod.run("bound", SLEEP, { linux: { security_context: { ...privileges, seccomp } } });
    const free = await pod.run("free", SLEEP, { linux: { security_context: privileges } });
    assert.match((await bound.tryExec("hostname other")).stderr, /Operation not permitted/);
    assert.match(await bound.exec("grep ^Seccomp: /proc/self/status"), /^Seccomp:\t2$/m);
    await free.exec(`hostname ${handler}`);
  });
  await volumesOf(pod, { node, kubelet, handler, test });
  await test.step("kubernetes K12: a debug container sees the processes of its target", async () => {
    const namespace_options = { pid: PID.target, target_id: app.id };
    // Where several may be meant it is refused (pods A14).
    const others = pod.containers.filter(({ id }) => id !== app.id);
    for (const other of others) await other.stop(), await other.remove();
    const debug = await pod.run("debug", SLEEP, { linux: { security_context: { namespace_options } } });
    assert.match(await debug.exec("ps"), /^ *1 .*sleep 4321/m);
  });
}

/** Containers of a pod that meet in its volumes. */
async function volumesOf(pod: Pod, { kubelet, handler, test }: Day): Promise<void> {
  await test.step("kubernetes K1: a user's process works in a volume that its fsGroup may write, as an init container left it", async () => {
    const volume = await kubelet.directory(`${handler}/claim`);
    await Deno.chown(volume, 0, FS_GROUP);
    await Deno.chmod(volume, 0o2770);
    const mounts = [{ host_path: volume, container_path: "/claim" }];
    const init = await pod.run("init", "mkdir -m 2770 /claim/data && echo schema >/claim/data/schema", { mounts });
    await until(async () => (await init.status()).state === STATE.exited);
    assert.equal((await init.status()).exit_code, 0);
    const security_context = { run_as_user: { value: USER }, supplemental_groups: [FS_GROUP] };
    const app = await pod.run("user", SLEEP, { mounts, linux: { security_context } });
    const work = "cd /claim/data && cat schema && mkdir deep && ln -s schema link && mkfifo fifo && echo row >deep/row";
    assert.equal(await app.exec(`${work} && mv deep/row deep/table`), "schema\n");
    assert.equal(await app.exec("stat -c '%u %g' /claim/data/deep/table"), `${USER} ${FS_GROUP}\n`);
    const { uid, gid } = await Deno.stat(`${volume}/data/deep/table`);
    assert.deepEqual([uid, gid], [USER, FS_GROUP]);
  });
  await test.step("pods A3: a database's lock on a volume holds for its sidecar, and a fifo leads there", async () => {
    const mounts = [{ host_path: await kubelet.directory(`${handler}/database`), container_path: "/database" }];
    const change = { image: { image: LOCKING_IMAGE.name }, mounts };
    const [database, sidecar] = [
      await pod.run("database", SLEEP, change),
      await pod.run("sidecar", SLEEP, change),
    ];
    const taken = "until ! flock -n /database/lock true; do sleep 0.1; done";
    await database.exec(`flock /database/lock sleep 1000000 >/dev/null 2>&1 & ${taken}; mkfifo /database/fifo`);
    assert.equal((await sidecar.tryExec("flock -n /database/lock true")).status, 1);
    await database.exec("(cat /database/fifo >/answer) >/dev/null 2>&1 &");
    await sidecar.exec("echo met >/database/fifo");
    await database.exec("until grep met /answer; do sleep 0.1; done");
  });
}

function own(): Message {
  return { linux: { security_context: { namespace_options: { pid: PID.container } } } };
}

/** A pod with a user namespace, which Debian's runc has not: it maps no mounts, so containerd refuses. */
async function mappedPod({ node, kubelet, handler, test }: Day): Promise<void> {
  const security_context = { namespace_options: { userns_options: { mode: 0, uids: MAP, gids: MAP } } };
  const linux = { security_context };
  const change = { linux: { ...linux, sysctls: { "net.ipv4.conf.all.forwarding": "1" } }, hostname: "mapped" };
  await using pod = await node.pod(`${handler}-mapped`, change, { handler });
  const one = await pod.run("one", SLEEP, { linux });

  await test.step("pods A17: root of a pod with a user namespace is none on the node, and owns its own files", async () => {
    assert.match(await one.exec("cat /proc/self/uid_map"), /^ *0 +196608 +65536$/m);
    assert.equal(await one.exec("stat -c '%u %g' / /bin/busybox; touch /file; stat -c %u /file"), "0 0\n0 0\n0\n");
    assert.equal(await one.exec("hostname; cat /proc/sys/net/ipv4/conf/all/forwarding"), "mapped\n1\n");
    await one.exec("httpd -p 80 -h / && echo shared >/dev/shm/file");
    assert.notEqual((await one.tryExec("mount -t tmpfs none /tmp")).status, 0);
  });
  await test.step("pods A17: containers of the pod share what belongs to it", async () => {
    const two = await pod.run("two", SLEEP, { linux });
    const namespaces = "readlink /proc/self/ns/user /proc/self/ns/ipc /proc/self/ns/uts; cat /dev/shm/file";
    assert.equal(await two.exec(namespaces), await one.exec(namespaces));
  });
  await mappedVolumes(pod, { kubelet, linux, test });
}

async function mappedVolumes(
  pod: Pod,
  { kubelet, linux, test }: Pick<Day, "kubelet" | "test"> & { linux: Message },
): Promise<void> {
  await test.step("pods A17: volumes belong to the pod's root inside, and to the node's root outside", async () => {
    const host = await kubelet.directory("private", 0o700);
    const disk = await kubelet.directory("volumes/kubernetes.io~empty-dir/disk");
    const size = `size=${4 * MIB},mode=700`;
    const memory = await kubelet.mount("volumes/kubernetes.io~empty-dir/memory", "-t", "tmpfs", "-o", size, "tmpfs");
    const of = (host_path: string, container_path: string) => ({
      ...{ host_path, container_path, uidMappings: MAP, gidMappings: MAP },
    });
    const mounts = [of(host, "/host"), of(disk, "/disk"), of(memory, "/memory")];
    const container: PodContainer = await pod.run("volumes", SLEEP, { linux, mounts });
    for (const name of ["host", "disk", "memory"]) {
      assert.equal(await container.exec(`echo >/${name}/file; stat -c '%u %g' /${name} /${name}/file`), "0 0\n0 0\n");
    }
    for (const path of [host, disk]) assert.equal((await Deno.stat(`${path}/file`)).uid, 0);
  });
}

for (const handler of HANDLERS) {
  const name = `A day of an operator, ${handler === OURS ? "kata" : handler}`;
  const missing = RELEASE === undefined ? "containerd 2 is missing" : !isInstalled(RUNC) && "runc is not installed";
  Deno.test({
    name,
    ignore: leftOut({ name }, missing),
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(test) {
      try {
        await using node = await startNode();
        await using kubelet = new Kubelet(node);
        const day = { node, kubelet, handler, test };
        await commonPod(day);
        if (handler !== OURS) return;
        await mappedPod(day);
        await test.step("kubernetes K11: a kubelet hears of both by the features that -info tells", async () => {
          const { runtime_handlers } = await node.cri.call("Status");
          const ours = runtime_handlers.find(({ name }: Message) => name === OURS);
          assert.deepEqual(ours.features, { recursive_read_only_mounts: true, user_namespaces: true });
        });
      } catch (error) {
        throw new Error(errorChain(error), { cause: error });
      }
    },
  });
}
