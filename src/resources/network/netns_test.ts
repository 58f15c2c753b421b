import assert from "node:assert/strict";
import { openPodNetns } from "./netns.ts";

const OPTIONS = { sandboxId: "s1", isPod: true, disableNew: true };

function open(path: string) {
  return openPodNetns({ ociVersion: "1.2.0", linux: { namespaces: [{ type: "network", path }] } }, OPTIONS);
}

Deno.test("F17: openPodNetns() waits for no fifo and opens nothing that is no namespace", () => {
  const directory = Deno.makeTempDirSync();
  new Deno.Command("mkfifo", { args: [`${directory}/fifo`] }).outputSync();
  for (const path of [`${directory}/fifo`, "/dev/null", directory]) {
    assert.throws(() => open(path), { code: "INVALID_ARGUMENT", message: /is no namespace$/ });
  }
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("openPodNetns() refuses the host's network", () => {
  assert.throws(() => open("/proc/self/ns/net"), { code: "INVALID_ARGUMENT", message: /the host's network/ });
});

for (const isPod of [true, false]) {
  Deno.test(`pods B7: openPodNetns() takes a specification without network namespace as the host's network (pod: ${isPod})`, () => {
    const refused = { code: "INVALID_ARGUMENT", message: /^Cannot run sandbox "s1" in the host's network: / };
    const options = { ...OPTIONS, isPod, disableNew: false };
    for (const spec of [{}, { linux: {} }, { linux: { namespaces: [{ type: "mount" as const }] } }]) {
      assert.throws(() => openPodNetns({ ociVersion: "1.2.0", ...spec }, options), refused);
    }
  });
}

Deno.test("pods B8: openPodNetns() refuses the namespace of a process, whose network it would take away, by path and name", async () => {
  await using other = startApart();
  for (const path of [`/proc/${other.pid}/ns/net`, `/proc/${other.pid}/task/${other.pid}/ns/net`]) {
    const message = `Cannot run sandbox "s1" in "${path}": process ${other.pid} ("sleep") is in this network`;
    assert.throws(() => open(path), (error: Error & { code: string }) => {
      assert.equal(error.code, "FAILED_PRECONDITION");
      assert.ok(error.message.startsWith(message), error.message);
      return true;
    });
  }
});

/** A process in a network namespace of its own. */
function startApart(): { pid: number } & AsyncDisposable {
  const args = ["--net", "sleep", "60"];
  const child = new Deno.Command("unshare", { args, stdin: "null", stdout: "null", stderr: "inherit" }).spawn();
  const name = () => Deno.readTextFileSync(`/proc/${child.pid}/comm`).trim();
  while (name() !== "sleep"); // unshare becomes it
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
