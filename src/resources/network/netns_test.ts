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
