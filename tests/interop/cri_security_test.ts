/** Identity of a container in its VM, what it may do there, and what its pod gives it. See `pod.ts`. */
import assert from "node:assert/strict";
import { pods, SLEEP } from "./pod.ts";

const NOBODY = 65534;
/** A pid namespace by its number in the interface. */
const OF_THE_CONTAINER = 1;

pods("user, groups, read-only root, sysctls, hostname and DNS of a pod reach its containers", async (node, test) => {
  const sysctls = { "net.ipv4.ip_unprivileged_port_start": "80", "kernel.shm_rmid_forced": "1" };
  const dns_config = { servers: ["10.9.8.7"], searches: ["pods.test"], options: ["ndots:3"] };
  await using pod = await node.pod("pod", { hostname: "name-of-pod", dns_config, linux: { sysctls } });
  const security_context = {
    run_as_user: { value: NOBODY },
    run_as_group: { value: 1234 },
    supplemental_groups: [2000, 3000],
    readonly_rootfs: true,
    namespace_options: { pid: OF_THE_CONTAINER },
  };
  const plain = await pod.run("plain", SLEEP);
  const user = await pod.run("user", SLEEP, { linux: { security_context } });

  await test.step("run-as-user, run-as-group and supplementary groups, of exec as well", async () => {
    const ids = "grep -E '^(Uid|Gid|Groups)' /proc/self/status | tr -s '\\t ' ' '";
    const four = (id: number) => Array(4).fill(id).join(" ");
    const groups = await user.exec(ids);
    assert.match(groups, new RegExp(`^Uid: ${four(NOBODY)}\\nGid: ${four(1234)}\\nGroups: .*2000 3000 *\\n$`));
    assert.equal(await user.exec(ids.replace("self", "1")), groups);
    assert.match(await plain.exec(ids), /^Uid: 0 0 0 0\n/);
  });
  await test.step("a read-only root cannot be written, not even by root; the other container's can", async () => {
    assert.match((await user.tryExec("echo >/file")).stderr, /Read-only file system/);
    await plain.exec("echo >/file");
  });
  await test.step("sysctls of the pod hold in all its containers", async () => {
    for (const container of [plain, user]) {
      for (const [name, value] of Object.entries(sysctls)) {
        assert.equal(await container.exec(`cat /proc/sys/${name.replaceAll(".", "/")}`), `${value}\n`, name);
      }
    }
  });
  await test.step("hostname and DNS are the pod's", async () => {
    for (const container of [plain, user]) {
      assert.equal(await container.exec("hostname; cat /etc/hostname"), "name-of-pod\nname-of-pod\n");
      const lines = (await container.exec("cat /etc/resolv.conf")).trim().split("\n").sort();
      assert.deepEqual(lines, ["nameserver 10.9.8.7", "options ndots:3", "search pods.test"]);
    }
  });
  await test.step("B16: shared memory has the pod's size and is the pod's", async () => {
    await plain.exec("echo shared >/dev/shm/file");
    assert.match(await user.exec("cat /dev/shm/file; df -m /dev/shm"), /^shared\n.*\nshm +64 /m);
  });
  await test.step("without privileges there are no devices but the usual, and few capabilities", async () => {
    const usual =
      "console core fd full mqueue null ptmx pts random shm stderr stdin stdout termination-log tty urandom zero";
    for (const name of (await plain.exec("ls /dev")).trim().split("\n")) {
      assert.ok(usual.split(" ").includes(name), name);
    }
    assert.match(
      (await plain.tryExec("mount -t tmpfs none /tmp")).stderr,
      /permission denied|Operation not permitted/i,
    );
    // A node can be made; that it cannot be used keeps a container off the guest's disk and the agent's channel.
    assert.match((await plain.tryExec(OPENS_CONSOLE_OF_GUEST)).stderr, /Operation not permitted/);
  });
});

/** The system's own console, which every guest has, by its numbers; /dev, because no other file system of a container may hold nodes. */
const OPENS_CONSOLE_OF_GUEST = "mknod /dev/node c 5 1 && : </dev/node";

pods("a privileged container has all privileges in its VM, and no device of the host", async (node) => {
  const security_context = { privileged: true };
  await using pod = await node.pod("pod", { linux: { security_context } });
  const container = await pod.run("one", SLEEP, { linux: { security_context } });
  await container.exec("mount -t tmpfs none /tmp && echo 1 >/proc/sys/net/ipv4/ip_forward && ip link set lo mtu 1500");
  await container.exec(OPENS_CONSOLE_OF_GUEST);
  const inside = (await container.exec("ls /dev")).trim().split("\n");
  const hardware = [...Deno.readDirSync("/dev")].map(({ name }) => name).filter((name) =>
    /^(tty\d|kvm|sd|vd)/.test(name)
  );
  assert.ok(hardware.length > 0);
  assert.deepEqual(inside.filter((name) => hardware.includes(name)), []);
  assert.equal((await container.exec("head -c 1 /dev/loop0 | wc -c")).trim(), "0", "the guest's own, without a file");
  const own = Deno.readTextFileSync("/proc/version");
  assert.notEqual(await container.exec("cat /proc/version"), own, "it is the guest's kernel that it may do all with");
});
