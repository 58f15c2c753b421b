import assert from "node:assert/strict";
import { missingForThrowawayRoot, runInThrowawayRoot } from "./throwaway.ts";

const NAME = "kata-fuzz-throwaway-1";
const UPPER = `upperdir=/run/${NAME}/upper`;

interface Changes {
  root?: string;
  more?: string;
  group?: string;
  rights?: string;
}

/** The files of a process below such a root. */
function root({ root = `overlay ${NAME} rw,lowerdir=/,${UPPER}`, more = "", group = "/", rights }: Changes) {
  const directory = Deno.makeTempDirSync({ prefix: "kata-root-" });
  using stack = new DisposableStack();
  stack.defer(() => Deno.removeSync(directory, { recursive: true }));
  Deno.mkdirSync(`${directory}/self`);
  const mounts = `1 0 0:2 / / rw - ${root}\n2 1 0:3 / /proc rw - proc proc rw\n3 1 0:4 / /tmp rw - tmpfs ${NAME} rw\n`;
  Deno.writeTextFileSync(`${directory}/self/mountinfo`, `${mounts}${more}`);
  Deno.writeTextFileSync(`${directory}/self/cgroup`, `4:memory:/\n0::${group}\n`);
  Deno.writeTextFileSync(`${directory}/self/status`, `CapBnd:\t${rights ?? "000001e3fcbcffff"}\n`);
  return missingForThrowawayRoot({ proc: directory });
}

Deno.test("missingForThrowawayRoot() takes a root that was made to be thrown away", () => {
  assert.equal(root({}), undefined);
});

Deno.test.each<{ name: string; changes: Changes }>([
  { name: "the root is a disk's", changes: { root: "ext4 /dev/vda rw" } },
  {
    name: "the root is another's overlay",
    changes: { root: "overlay overlay rw,upperdir=/var/lib/docker/overlay2/1/diff" },
  },
  { name: "what is written is kept elsewhere", changes: { root: `overlay ${NAME} rw,upperdir=/home/upper` } },
  { name: "a disk is mounted", changes: { more: "9 1 254:0 / /mnt rw - ext4 /dev/vda rw\n" } },
  { name: "a disk is mounted read-only", changes: { more: "9 1 254:0 / /mnt ro - ext4 /dev/vda ro\n" } },
  { name: "the machine's own /run is there", changes: { more: "9 1 0:9 / /run rw - tmpfs tmpfs rw\n" } },
  { name: "the machine's devices are there", changes: { more: "9 1 0:6 / /dev rw - devtmpfs devtmpfs rw\n" } },
  { name: "groups are the machine's", changes: { group: "/user.slice" } },
  { name: "modules may be loaded", changes: { rights: "000001e3fcbdffff" } },
  { name: "all rights are there", changes: { rights: "000001ffffffffff" } },
  { name: "rights are not told", changes: { rights: "" } },
])("missingForThrowawayRoot() refuses one where $name", ({ changes }) => {
  assert.notEqual(root(changes), undefined);
});

Deno.test("missingForThrowawayRoot() refuses where nothing can be read, and this machine", () => {
  assert.match(missingForThrowawayRoot({ proc: "/none" }) ?? "", /cannot be told/);
  assert.match(missingForThrowawayRoot() ?? "", /not one to throw away/);
});

Deno.test("runInThrowawayRoot() makes none in CI", async () => {
  const before = Deno.env.get("CI");
  using stack = new DisposableStack();
  stack.defer(() => before === undefined ? Deno.env.delete("CI") : Deno.env.set("CI", before));
  Deno.env.set("CI", "true");
  await assert.rejects(runInThrowawayRoot(["/bin/true"], { onText: () => {} }), /made by hand alone, and this is CI/);
});
