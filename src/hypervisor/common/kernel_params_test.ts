import assert from "node:assert/strict";
import { kernelCommandLine, mergeParams, splitParams } from "./kernel_params.ts";

const MONITOR = { rootDevice: "/dev/vda", console: "ttyS0", architecture: "x86_64" } as const;
const IMAGE = { path: "/root.erofs", fsType: "erofs" };

/** The words of a guest. */
function words({ image = IMAGE, user = "" }: { image?: typeof IMAGE | undefined; user?: string }, more: string[] = []) {
  const vm = { image, kernelParams: { agent: ["agent.log=debug"], user }, console: { isVerbose: false } };
  return kernelCommandLine(vm, { ...MONITOR, more }).split(" ");
}

Deno.test("B43: kernelCommandLine() prints root device, defaults, monitor's, agent's and user's words in this order", async (t) => {
  await t.assertSnapshot(words({ user: "systemd.unit=x b=2" }, ["agent.server_addr=serial://agent.0"]));
});

Deno.test("B43: kernelCommandLine() lets a user's word beat the default of the same name", () => {
  const found = words({
    image: { ...IMAGE, fsType: "ext4" },
    user: "root=/dev/vdb loglevel=7 console=hvc0 agent.log=info",
  });
  assert.deepEqual(found.filter((word) => /^(root|loglevel|console|rootfstype|agent.log)=/.test(word)), [
    "rootfstype=ext4",
    "root=/dev/vdb",
    "loglevel=7",
    "console=hvc0",
    "agent.log=info",
  ]);
});

Deno.test("kernelCommandLine() has the monitor's console and root device, and none without an image", () => {
  const vm = { kernelParams: { agent: [], user: "" }, console: { isVerbose: true } };
  const line = (image?: typeof IMAGE) =>
    kernelCommandLine({ ...vm, ...(image && { image }) }, { ...MONITOR, rootDevice: "/dev/pmem0p1", console: "hvc0" });
  assert.match(line(IMAGE), /^root=\/dev\/pmem0p1 rootfstype=erofs ro console=hvc0 .* ignore_loglevel$/);
  assert.doesNotMatch(line(), /root/);
});

Deno.test("kernelCommandLine() refuses what the kernel would cut off", () => {
  assert.throws(() => words({ user: "x".repeat(2000) }), {
    message: /Cannot use a kernel command line of \d+ bytes: the most is 2047/,
  });
});

Deno.test.each([
  { name: "a later list wins", lists: [["a=1", "b"], ["a=2"]], merged: ["b", "a=2"] },
  { name: "one list may repeat a name", lists: [["c=1"], ["c=2", "c=3"]], merged: ["c=2", "c=3"] },
  { name: "dash and underscore are one", lists: [["x-y=1"], ["x_y"]], merged: ["x_y"] },
])("mergeParams(): $name", ({ lists, merged }) => assert.deepEqual(mergeParams(lists), merged));

Deno.test("splitParams() keeps quoted spaces together", () => {
  assert.deepEqual(splitParams('  a  b="c d" "e f"=g\n'), ["a", 'b="c d"', '"e f"=g']);
});
