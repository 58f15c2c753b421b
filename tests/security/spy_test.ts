/** F4: a container that may trace, in a pod whose containers share their processes, looks at all that the agent starts. */
import assert from "node:assert/strict";
import { pods } from "../interop/pod.ts";
import { hostileContainer, podWith } from "./hostile_container.ts";

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
    grep -q deno $p/maps && line="$line mapped"
    [ "$line" = "$last" ] || echo "$line"
    last=$line
  done
done >/found 2>/dev/null
: >/over
sleep 1000`;

pods("F4: who may trace in a pod of shared processes finds neither agent nor guest in what comes", async (node) => {
  const rights = { capabilities: ["SYS_PTRACE"], sharesPids: true };
  await using pod = await node.pod("pod", podWith(rights));
  const spy = await hostileContainer(pod, "spy", { ...rights, script: SPY });
  await spy.exec("until [ -e /ready ]; do sleep 0.1; done");
  const victim = await hostileContainer(pod, "victim", { sharesPids: true });
  for (let count = 0; count < 2; count++) {
    await victim.exec("sleep 0.5");
    await hostileContainer(pod, `other-${count}`, { sharesPids: true });
  }
  await spy.exec(": >/stop; until [ -e /over ]; do sleep 0.1; done");
  const found = (await spy.exec("cat /found")).trim().split("\n");
  assert.ok(found.some((line) => line.includes("busybox")), found.join("\n"));
  assert.deepEqual(found.filter((line) => /deno|guest-root|mapped/.test(line)), []);
});
