/** Images whose files lead elsewhere: whatever is made, mounted or read for their containers stays in them. */
import assert from "node:assert/strict";
import { SLEEP } from "../interop/pod.ts";
import { hostilePods, inGuest } from "./hostile_guest.ts";
import { makeVictim, Witness } from "./witness.ts";

/** Where host and guest make or mount something for each container, or read something of its image. */
const PLACES = ["dev", "dev/shm", "proc", "sys", "tmp", "etc", "etc/resolv.conf", "etc/hostname", "etc/passwd"];

/** The image's file at `place` becomes a link to `target`. */
function link(root: string, { place, target }: { place: string; target: string }): void {
  const path = `${root}/${place}`;
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  Deno.removeSync(`${path}`, { recursive: true });
  Deno.symlinkSync(target, path);
}

hostilePods("images with links where a container's files are made: neither host nor guest is touched", async (node) => {
  using victim = makeVictim();
  const witness = new Witness(victim.path);
  const pod = await node.pod("pod");
  const steady = await pod.run("steady", SLEEP);
  // The guest has the same victim, and tells us of it: it is hostile in name only.
  const look = () =>
    inGuest(steady, ({ sh }, path) => sh(`cd ${path} && find . -exec stat -c '%n %f %s %Y' {} +`), victim.path);
  await inGuest(
    steady,
    ({ sh }, path) => sh(`mkdir -p ${path}/etc/cron.d && echo THE-GUESTS >${path}/secret`),
    victim.path,
  );
  const before = await look();
  assert.match(before.stdout, /secret/);
  let ran = 0;
  for (const [at, place] of PLACES.entries()) {
    const name = `localhost/hostile${at}:1`;
    const plant = (root: string) => {
      if (!place.includes("/") || place === "etc/passwd") return link(root, { place, target: victim.path });
      Deno.writeTextFileSync(`${root}/${place}`, "");
      link(root, { place, target: `../../../../../..${victim.path}` });
    };
    await node.containerd.import({ name, plant });
    const container = await pod.run(`c${at}`, `cat /etc/passwd; ${SLEEP}`, { image: { image: name } }).catch(() =>
      undefined
    );
    await container?.stop();
    await container?.remove();
    assert.deepEqual(witness.treeChanges(), [], place);
    assert.deepEqual(await look(), before, place);
    if (container === undefined) continue; // refused is as good
    ran++;
    assert.doesNotMatch(container.log().join("\n"), /THE-/, place);
  }
  assert.ok(ran > 0, "some of the images are taken");
  await pod[Symbol.asyncDispose]();
  await witness.sawNothing();
});
