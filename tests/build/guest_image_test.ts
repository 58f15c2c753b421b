/** Contents of the guest's images. Needs dist/guest from scripts/guest-image. */
import assert from "node:assert/strict";
import { DIST } from "../house.ts";

const REPO = new URL("../../", import.meta.url).pathname;

async function output(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd: REPO }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function digests(): Promise<string> {
  const names = ["vmlinux", "initrd.cpio", "root.erofs"].map((name) => `${DIST}guest/${name}`);
  return await output("sha256sum", names);
}

Deno.test("the guest's images are the same bytes for the same source", async () => {
  await output("scripts/guest-image", []);
  const first = await digests();
  await output("scripts/guest-image", []);
  assert.equal(await digests(), first);
});

Deno.test("the agent loads no node: module, whose polyfills cost the guest a second", async () => {
  const graph = JSON.parse(await output(Deno.execPath(), ["info", "--json", "scripts/guest/agent_entry.ts"]));
  const specifiers: string[] = graph.modules.map(({ specifier }: { specifier: string }) => specifier);
  assert.deepEqual(specifiers.filter((specifier) => specifier.startsWith("node:")), []);
  assert.ok(specifiers.some((specifier) => specifier.endsWith("/src/agent/main.ts")));
});
