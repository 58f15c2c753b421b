/** The shared directory against hostile guests and containers: what they do in it does nothing to the host. */
import assert from "node:assert/strict";
import { bindMount, mount, umountTree } from "../../src/linux/mount/mount.ts";
import { pods, SLEEP } from "../interop/pod.ts";
import type { HostileGuest } from "../../scripts/guest/hostile_entry.ts";
import { hostilePods, inGuest } from "./hostile_guest.ts";
import { makeVictim, Witness } from "./witness.ts";

/** All that a guest's root may try where the host mounts. @returns What it could do. */
function takeOver(_guest: HostileGuest, victim: string): string[] {
  const shared = "/run/kata-containers/shared/containers";
  const done: string[] = [];
  const attempt = (what: string, act: () => void) => {
    try {
      act();
      done.push(what);
    } catch {
      // as it should be
    }
  };
  const places = [shared, `${shared}/passthrough`];
  for (const { name } of Deno.readDirSync(`${shared}/passthrough`)) places.push(`${shared}/passthrough/${name}`);
  for (const place of places) {
    attempt(`mkdir in ${place}`, () => Deno.mkdirSync(`${place}/made`));
    attempt(`write in ${place}`, () => Deno.writeTextFileSync(`${place}/written`, "x".repeat(1 << 20)));
    attempt(`link in ${place}`, () => Deno.symlinkSync(victim, `${place}/link`));
    attempt(`chmod ${place}`, () => Deno.chmodSync(place, 0o777));
  }
  // The deepest first: each that was renamed is replaced by a link to where the host shall mount instead.
  for (const place of places.toReversed()) {
    attempt(`rename ${place}`, () => {
      Deno.renameSync(place, `${place}-was`);
      Deno.symlinkSync(victim, place);
    });
  }
  return done;
}

hostilePods(
  "F1: a guest's root cannot have the host mount, write or remove anywhere, and its pod ends",
  async (node) => {
    using victim = makeVictim();
    const witness = new Witness(victim.path);
    const file = `${node.containerd.directory}/file`;
    Deno.writeTextFileSync(file, "of the host\n");
    const mounts = [{ container_path: "/cron.d/evil", host_path: file }];
    {
      await using pod = await node.pod("pod");
      const one = await pod.run("one", SLEEP);
      assert.deepEqual(await inGuest(one, takeOver, victim.path), []);
      const two = await pod.run("two", SLEEP, { mounts });
      assert.deepEqual(witness.treeChanges(), []);
      assert.equal(await two.exec("cat /cron.d/evil"), "of the host\n");
    }
    await witness.sawNothing();
    assert.deepEqual(await node.remains(), []);
  },
);

/** Writes where a container may only read. @returns Where that worked. */
function writeReadOnly(_guest: HostileGuest, container: string): string[] {
  const passthrough = "/run/kata-containers/shared/containers/passthrough";
  const done: string[] = [];
  const visit = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      // The pod's own root file system is the guest's.
      if (isDirectory && (name !== "rootfs" || path.endsWith(container))) visit(`${path}/${name}`);
    }
    try {
      Deno.writeTextFileSync(`${path}/written`, "");
      done.push(path);
    } catch {
      // as it should be
    }
  };
  visit(passthrough);
  return done;
}

hostilePods("F11: a guest's root cannot write to what its containers may only read, nor below", async (node) => {
  const source = `${node.containerd.directory}/source`;
  Deno.mkdirSync(`${source}/inner`, { recursive: true });
  bindMount(source, source);
  mount("tmpfs", `${source}/inner`, { type: "tmpfs" });
  using _mounts = { [Symbol.dispose]: () => umountTree(source) };
  const witness = new Witness(source, `${source}/inner`);
  await using pod = await node.pod("pod");
  const mounts = [{ container_path: "/data", host_path: source, readonly: true }];
  const linux = { security_context: { readonly_rootfs: true } };
  const one = await pod.run("one", SLEEP, { mounts, linux });
  assert.deepEqual(await inGuest(one, writeReadOnly, one.id), []);
  assert.deepEqual(witness.treeChanges(), []);
  assert.notEqual((await one.tryExec("touch /data/inner/x")).status, 0);
});

pods(
  "B2, B10: devices of the guest, and volumes at /dev/shm, are what a container gets that asks for them",
  async (node) => {
    const directory = `${node.containerd.directory}/volume`;
    Deno.mkdirSync(directory);
    Deno.writeTextFileSync(`${directory}/file`, "mine\n");
    await using pod = await node.pod("pod");
    const mounts = [
      { container_path: "/etc/hidden", host_path: "/dev/null", readonly: true },
      { container_path: "/dev/shm", host_path: directory },
    ];
    const one = await pod.run("one", SLEEP, { mounts });
    assert.equal(await one.exec("cat /etc/hidden; echo x >/etc/hidden; stat -c %t:%T /etc/hidden"), "1:3\n");
    assert.equal(await one.exec("cat /dev/shm/file; echo written >/dev/shm/new"), "mine\n");
    assert.equal(Deno.readTextFileSync(`${directory}/new`), "written\n");
  },
);

pods("B2: a socket of the host as a volume is refused by name", async (node) => {
  const path = `${node.containerd.directory}/socket`;
  using _socket = Deno.listen({ transport: "unix", path });
  await using pod = await node.pod("pod");
  const mounts = [{ container_path: "/run/host.sock", host_path: path }];
  await assert.rejects(pod.run("one", SLEEP, { mounts }), (error: Error) => {
    return error.message.includes(`Cannot mount "${path}" on "/run/host.sock": a socket of the host leads nowhere`);
  });
});

pods(
  "F14: a container makes fifos, whiteouts and programs with its root's rights, but no device nodes",
  async (node) => {
    const directory = `${node.containerd.directory}/volume`;
    Deno.mkdirSync(directory);
    await using pod = await node.pod("pod");
    const one = await pod.run("one", SLEEP, { mounts: [{ container_path: "/data", host_path: directory }] });
    for (const place of ["/node c 1 3", "/node b 8 0", "/data/node c 1 3", "/data/node b 8 0"]) {
      assert.notEqual((await one.tryExec(`mknod ${place}`)).status, 0, place);
    }
    // An overlay takes no whiteouts from anybody but itself.
    assert.equal(await one.exec("mkfifo /fifo && mknod /data/whiteout c 0 0 && stat -c %F /fifo"), "fifo\n");
    assert.equal(await one.exec("cp /bin/busybox /suid && chmod 4755 /suid && stat -c %a /suid"), "4755\n");
    const daemons = [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => isDaemon(name));
    const own = daemons.filter((pid) =>
      Deno.readLinkSync(`/proc/${pid}/ns/mnt`) !== Deno.readLinkSync("/proc/self/ns/mnt")
    );
    // The one that serves, and the one that waits for it outside of its namespace of processes.
    assert.equal(own.length, 2);
    const serving = own.filter((pid) => /^NSpid:.*\t1$/m.test(statusOf(pid)));
    assert.equal(serving.length, 1);
    const MKNOD = 1n << 27n;
    for (const pid of serving) {
      const [, bits] = /^CapEff:\s*(.*)$/m.exec(statusOf(pid))!;
      assert.equal(BigInt(`0x${bits}`) & MKNOD, 0n);
    }
  },
);

function statusOf(pid: string): string {
  return Deno.readTextFileSync(`/proc/${pid}/status`);
}

function isDaemon(pid: string): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`) === "virtiofsd\n";
  } catch {
    return false;
  }
}

hostilePods("F1: a tree too deep to hold open, and links in it, are taken away with their container", async (node) => {
  using victim = makeVictim();
  const witness = new Witness(victim.path);
  const pod = await node.pod("pod");
  const one = await pod.run("one", SLEEP);
  const made = await inGuest(one, async ({ sh }, victim) => {
    const [root] = Deno.readTextFileSync("/proc/mounts").split("\n").map((line) => line.split(" ")[1] ?? "")
      .filter((path) => path.endsWith("/rootfs"));
    // A path may have 4,096 bytes: the shell goes down once, to begin anew.
    const way = Array(1500).fill("d").join("/");
    const plant = `mkdir -p ${way} && ln -s ${victim} ${way}/link && cd -P ${way}`;
    return await sh(`cd ${root} && ${plant} && ${plant} && ls`);
  }, victim.path);
  assert.equal(made.stdout, "link\n", made.stderr);
  await one.stop();
  await one.remove();
  await pod[Symbol.asyncDispose]();
  assert.deepEqual(witness.treeChanges(), []);
});
