/** F4: a container that may trace, in a pod whose containers share their processes, looks at all that the agent starts. */
import assert from "node:assert/strict";
import { type PodNode, pods } from "../interop/pod.ts";
import { until } from "../support/wait.ts";
import { hostileContainer, podWith, type Rights } from "./hostile_container.ts";

/** Of each process that comes, as long as it is there: whose program it runs, and whether the guest's root is its root. */
const SPY = `
known=" "
for p in /proc/[0-9]*; do known="$known$p "; done
: >/ready
while [ ! -e /stop ]; do
  for p in /proc/[0-9]*; do
    case $known in *" $p "*) continue ;; esac
    exe=$(readlink $p/exe) || continue
    line="\${p##*/} exe $exe"
    [ -e $p/root/usr/lib/kata ] && line="$line guest-root"
    # Without a link of its own the root binds its process only: who looks from outside climbs as far as mounts have parents.
    for link in root cwd; do
      [ -e $p/$link/../../../../../../../../usr/lib/kata ] && line="$line guest-root-above-$link"
    done
    for fd in $p/fd/*; do [ -e $fd/usr/lib/kata ] && line="$line guest-root-open"; done
    grep -q deno $p/maps && line="$line mapped"
    grep -q '^Seccomp:.0' $p/status && line="$line unfiltered"
    [ "$line" = "$last" ] || echo "$line"
    last=$line
  done
done >/found 2>/dev/null
: >/over
sleep 1000`;

/**
 * Stops each process that comes before that does anything, as far as it is fast enough, and tells of the one that opens a
 * proc, which has a single right: what is in its root, what is above that, and what it has open. Starts none of its own.
 */
const CATCH = `
read last </proc/sys/kernel/ns_last_pid
echo ready
while :; do
  pid=$((last + 1)) p=/proc/$((last + 1))
  until kill -STOP $pid; do
    read last </proc/sys/kernel/ns_last_pid
    [ $last -ge $pid ] && break
  done 2>/dev/null
  while read key value; do
    [ "$key $value" = "CapPrm: 0000000000200000" ] || continue
    for link in root cwd; do
      for name in $p/$link/*; do [ -e $name ] && echo "$link has \${name##*/}"; done
      [ -e $p/$link/../../../../../../../../usr/lib/kata ] && echo "guest-root above $link"
    done
    for fd in $p/fd/*; do [ -e $fd/usr/lib/kata ] && echo "guest-root open"; done
    echo caught
  done 2>/dev/null <$p/status
  kill -CONT $pid 2>/dev/null
  read last </proc/sys/kernel/ns_last_pid
done`;

pods(
  "F4: who may trace finds an empty root, and no way up, in the process that opens the proc of a new container",
  async (node) => {
    const rights = { capabilities: ["SYS_PTRACE"], sharesPids: true };
    await using pod = await node.pod("pod", podWith(rights));
    const spy = await hostileContainer(pod, "spy", { ...rights, script: CATCH });
    const said = () => spy.log().map((line) => line.split(" ").slice(2).join(" "));
    await until(() => said().includes("ready"));
    // It may come too late, though it has a processor of its own.
    for (let count = 0; !said().includes("caught"); count++) {
      assert.ok(count < 60, "never in time");
      const victim = await hostileContainer(pod, `victim-${count}`, { sharesPids: true });
      await victim.stop();
      await victim.remove();
    }
    assert.deepEqual([...new Set(said())], ["ready", "caught"]);
  },
  { configure: (toml) => `${toml}default_vcpus = 2\n` },
);

/** Engines' own filters forbid none of it; this one is suspended while a process goes into its container. */
const FILTER = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["setsid"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
};

async function spied(node: PodNode, filter: Pick<Rights, "seccomp">): Promise<string[]> {
  const rights = { capabilities: ["SYS_PTRACE"], sharesPids: true, ...filter };
  await using pod = await node.pod("pod", podWith(rights));
  const spy = await hostileContainer(pod, "spy", { ...rights, script: SPY });
  await spy.exec("until [ -e /ready ]; do sleep 0.1; done");
  const victim = await hostileContainer(pod, "victim", { sharesPids: true, ...filter });
  for (let count = 0; count < 2; count++) {
    await victim.exec("sleep 0.5");
    await hostileContainer(pod, `other-${count}`, { sharesPids: true, ...filter });
  }
  await spy.exec(": >/stop; until [ -e /over ]; do sleep 0.1; done");
  const found = (await spy.exec("cat /found")).trim().split("\n");
  assert.ok(found.some((line) => line.includes("busybox")), found.join("\n"));
  const status = await victim.exec("grep -E '^(Seccomp|NoNewPrivs|CapPrm):' /proc/self/status");
  assert.match(status, filter.seccomp === undefined ? /^Seccomp:\t0$/m : /^NoNewPrivs:\t0\nSeccomp:\t2$/m);
  return found;
}

pods("F4: who may trace in a pod of shared processes finds neither agent nor guest in what comes", async (node) => {
  const found = await spied(node, {});
  assert.deepEqual(found.filter((line) => /deno|guest-root|mapped/.test(line)), []);
});

pods(
  "F4: who may trace finds nothing without its filter either, also where that is suspended on the way in",
  async (node) => {
    const seccomp = `${node.containerd.directory}/filter.json`;
    await Deno.writeTextFile(seccomp, JSON.stringify(FILTER));
    const found = await spied(node, { seccomp });
    assert.deepEqual(found.filter((line) => /deno|guest-root|mapped|unfiltered/.test(line)), []);
  },
);
