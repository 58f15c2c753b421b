/** The volumes that a pod has of Kubernetes, made on the host as the kubelet makes them. See `pod.ts`. */
import assert from "node:assert/strict";

import { LOCKING_IMAGE } from "./image.ts";
import { Kubelet } from "./kubelet.ts";
import { pods, SLEEP } from "./pod.ts";
import { until } from "../support/wait.ts";

const MIB = 2 ** 20;
const NO_SPACE = /No space left on device/;
const PROPAGATION = { private: 0, hostToContainer: 1, bidirectional: 2 } as const;

/** Debian's perl, which needs its libraries at their places of the host; the image has nothing that waits by inotify. */
const LIBRARIES = `/usr/lib/${Deno.build.arch}-linux-gnu`;
const LOADER = { x86_64: "ld-linux-x86-64.so.2", aarch64: "ld-linux-aarch64.so.1" }[Deno.build.arch];
const PERL = `${LIBRARIES}/${LOADER} --library-path ${LIBRARIES} /usr/bin/perl`;
/** Numbers of inotify_init1 and inotify_add_watch. */
const [INIT, ADD] = { x86_64: [294, 254], aarch64: [26, 27] }[Deno.build.arch];
/** Waits until something was moved to `..data` (IN_MOVED_TO, 0x80) in each of its arguments. */
const WATCH = `$d = syscall ${INIT}, 0; for $p (@ARGV) { $w = syscall ${ADD}, $d, $p, 0x80; $of{$w} = $p } ` +
  `open R, ">/ready"; close R; open H, "<&=", $d; while (%of) { sysread H, $b, 4096; while (length $b) { ` +
  `($w, $m, $c, $l, $n) = unpack "iIIIZ*", $b; delete $of{$w} if $n eq "..data"; $b = substr $b, 16 + $l } }`;

/** Writes files as the kubelet does, all at once: a new directory, then a link that is moved onto the old one. */
async function publish(volume: string, version: string): Promise<void> {
  await Deno.mkdir(`${volume}/..${version}`, { recursive: true });
  await Deno.writeTextFile(`${volume}/..${version}/key`, version);
  await Deno.symlink(`..${version}`, `${volume}/..data_tmp`);
  await Deno.rename(`${volume}/..data_tmp`, `${volume}/..data`);
  await Deno.symlink("..data/key", `${volume}/key`).catch(() => {});
}

pods(
  "B15: with disable_guest_empty_dir = false an emptyDir is made in the guest, keeps its limit and outlives the containers that share it",
  async (node, test) => {
    await using kubelet = new Kubelet(node);
    const [memory, disk] = ["memory", "disk"].map((name) => `volumes/kubernetes.io~empty-dir/${name}`);
    const cache = await kubelet.mount(memory!, "-t", "tmpfs", "-o", `size=${4 * MIB}`, "tmpfs");
    // The size of a node, which the kubelet gives to one without a limit.
    const ofNode = ["-t", "tmpfs", "-o", `size=${24_055 * MIB}`, "tmpfs"];
    const unlimited = await kubelet.mount("volumes/kubernetes.io~empty-dir/unlimited", ...ofNode);
    const data = await kubelet.directory(disk!);
    await Deno.chown(data, 0, 2000);
    await Deno.chmod(data, 0o2777);
    await kubelet.directory(`${disk}/part`, 0o750);
    const part = await kubelet.mount("volume-subpaths/disk/two/0", "--bind", `${data}/part`);
    const mounts = [
      { container_path: "/cache", host_path: cache },
      { container_path: "/data", host_path: data },
      { container_path: "/unlimited", host_path: unlimited },
    ];
    await using pod = await node.pod("pod");
    const one = await pod.run("one", SLEEP, { mounts });
    const more = [{ container_path: "/part", host_path: part }, { container_path: "/dev/shm", host_path: cache }];
    const two = await pod.run("two", SLEEP, { mounts: [...mounts, ...more] });

    await test.step("in memory: beyond sizeLimit there is no space, for all containers together", async () => {
      await one.exec("dd if=/dev/zero of=/cache/first bs=1M count=3");
      const { status, stderr } = await two.tryExec("dd if=/dev/zero of=/cache/second bs=1M count=2");
      assert.notEqual(status, 0);
      assert.match(stderr, NO_SPACE);
      await one.exec("rm /cache/*; dd if=/dev/zero of=/cache/third bs=1M count=3");
      assert.deepEqual([...Deno.readDirSync(cache)], [], "the host's memory holds nothing of it");
    });
    await test.step("kubernetes K6: in memory without a limit of its own there is an end of space, and the pod lives", async () => {
      const { status, stderr } = await one.tryExec("dd if=/dev/zero of=/unlimited/file bs=1M count=900");
      assert.notEqual(status, 0);
      assert.match(stderr, NO_SPACE);
      assert.equal(await two.exec("rm /unlimited/file; echo lives"), "lives\n");
    });
    await test.step("in memory: at /dev/shm it is the container's shared memory, in place of the pod's", async () => {
      await one.exec("echo shared >/cache/memory");
      assert.match(await two.exec("cat /dev/shm/memory; df -m /dev/shm"), /^shared\n.*\ntmpfs +4 /m);
      await one.exec("rm /cache/memory");
    });
    await test.step("on disk: shared, with the group and mode that the kubelet gave", async () => {
      await one.exec("echo shared >/data/file");
      assert.equal(await two.exec("cat /data/file; stat -c '%g %a' /data"), "shared\n2000 2777\n");
      assert.match(await one.exec("grep ' /data ' /proc/mounts"), /virtiofs/, "not in the guest's memory");
      assert.deepEqual([...Deno.readDirSync(data)].map(({ name }) => name), ["part"]);
    });
    await test.step("subPath: the part that one container mounts is the same that another sees in the whole", async () => {
      await two.exec("echo part >/part/file");
      assert.equal(await one.exec("cat /data/part/file"), "part\n");
    });
    await test.step("what a container wrote is there when it is started anew", async () => {
      await one.stop();
      await one.remove();
      const again = await pod.run("one", SLEEP, { mounts, metadata: { name: "one", attempt: 1 } });
      assert.equal(await again.exec("cat /data/file; wc -c </cache/third"), `shared\n${3 * MIB}\n`);
    });
  },
  { configure: (toml) => `${toml}[runtime]\ndisable_guest_empty_dir = false\n` },
);

pods(
  "kubernetes K5: an emptyDir on disk is the kubelet's own directory, and its containers meet in it",
  async (node, test) => {
    await using kubelet = new Kubelet(node);
    const data = await kubelet.directory("volumes/kubernetes.io~empty-dir/data");
    await using pod = await node.pod("pod");
    const mounts = [{ container_path: "/data", host_path: data }];
    await node.containerd.import(LOCKING_IMAGE);
    const image = { image: LOCKING_IMAGE.name };
    const [one, two] = [await pod.run("one", SLEEP, { image, mounts }), await pod.run("two", SLEEP, { image, mounts })];

    await test.step("the kubelet sees how large it becomes, by which it evicts", async () => {
      await one.exec(`dd if=/dev/zero of=/data/file bs=1M count=3`);
      assert.equal((await Deno.stat(`${data}/file`)).size, 3 * MIB);
    });
    await test.step("a lock of one holds for the other", async () => {
      await one.exec(
        "flock /data/lock sleep 1000000 >/dev/null 2>&1 & until ! flock -n /data/lock true; do sleep 0.1; done",
      );
      assert.equal((await two.tryExec("flock -n /data/lock true")).status, 1);
    });
    await test.step("a fifo of one leads to the other", async () => {
      await one.exec("mkfifo /data/fifo; (cat /data/fifo >/answer) >/dev/null 2>&1 &");
      await two.exec("echo met >/data/fifo");
      await one.exec("until grep met /answer; do sleep 0.1; done");
    });
  },
);

pods("ConfigMap, Secret, token, hosts, termination log and hostPath", async (node, test) => {
  await using kubelet = new Kubelet(node);
  const config = await kubelet.directory("volumes/kubernetes.io~configmap/config");
  const secret = await kubelet.mount("volumes/kubernetes.io~secret/secret", "-t", "tmpfs", "tmpfs");
  const token = await kubelet.mount("volumes/kubernetes.io~projected/token", "-t", "tmpfs", "tmpfs");
  for (const volume of [config, secret, token]) await publish(volume, "one");
  const host = await kubelet.mount("host", "--bind", await kubelet.directory("on-the-host"));
  await node.containerd.run(["mount", "--make-shared", host]);
  const files = await kubelet.directory("files");
  for (const name of ["hosts", "log"]) {
    await Deno.writeTextFile(`${files}/${name}`, name === "hosts" ? "10.9.8.7 far\n" : "");
  }
  await using pod = await node.pod("pod");
  const of = (host_path: string, container_path: string, more = {}) => ({ host_path, container_path, ...more });
  const container = await pod.run("one", SLEEP, {
    mounts: [
      of(config, "/etc/config", { readonly: true }),
      of(secret, "/etc/secret", { readonly: true }),
      of(token, "/var/run/secrets/token", { readonly: true }),
      of(`${config}/..one/key`, "/etc/one-key", { readonly: true }),
      of(`${files}/hosts`, "/etc/hosts"),
      of(`${files}/log`, "/dev/termination-log"),
      of("/usr", "/usr", { readonly: true }),
      of(host, "/host"),
      of(host, "/host-slave", { propagation: PROPAGATION.hostToContainer }),
    ],
  });

  await test.step("pods A4, kubernetes K3: who waits for an update of each volume by inotify hears of it", async () => {
    const volumes = { "/etc/config": config, "/etc/secret": secret, "/var/run/secrets/token": token };
    const paths = Object.keys(volumes);
    const heard = container.exec(`${PERL} -e '${WATCH}' ${paths.join(" ")}`);
    await until(async () => (await container.tryExec("test -e /ready")).status === 0);
    for (const volume of Object.values(volumes)) await publish(volume, "again");
    await heard;
    for (const path of paths) {
      assert.match(await container.exec(`cat ${path}/key; grep ' ${path} ' /proc/mounts`), /^againtmpfs .* ro,/);
    }
  });
  await test.step("an update is seen inside, whole, and nothing can be written", async () => {
    const keys = "cat /etc/config/key /etc/secret/key /var/run/secrets/token/key";
    assert.equal(await container.exec(keys), "againagainagain");
    for (const volume of [config, secret, token]) await publish(volume, "two");
    await until(async () => (await container.exec(keys)) === "twotwotwo");
    assert.equal(await container.exec("cat /etc/one-key"), "one", "subPath keeps the version that it was mounted with");
    for (const path of ["/etc/config/x", "/etc/secret/x", "/etc/one-key"]) {
      assert.match((await container.tryExec(`echo >${path}`)).stderr, /Read-only file system/);
    }
  });
  await test.step("files of the host: hosts, and the termination log", async () => {
    assert.match(await container.exec("cat /etc/hosts"), /far/);
    await container.exec("echo the reason >/dev/termination-log");
    assert.equal(await Deno.readTextFile(`${files}/log`), "the reason\n");
  });
  await test.step("hostPath: both sides write, and later mounts appear with HostToContainer only", async () => {
    await container.exec("echo inside >/host/file");
    assert.equal(await Deno.readTextFile(`${host}/file`), "inside\n");
    await kubelet.mount("host/later", "-t", "tmpfs", "tmpfs");
    await Deno.writeTextFile(`${host}/later/file`, "later");
    assert.equal(await container.exec("cat /host-slave/later/file"), "later");
    assert.notEqual((await container.tryExec("cat /host/later/file")).status, 0);
  });
  await test.step("hostPath with Bidirectional is refused: a mount in a VM cannot appear on the host", async () => {
    const mounts = [of(host, "/host", { propagation: PROPAGATION.bidirectional })];
    await assert.rejects(pod.run("two", SLEEP, { mounts }), /cannot appear on the host/);
  });
});
