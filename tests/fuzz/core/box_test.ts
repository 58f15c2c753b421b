import assert from "node:assert/strict";
import { boxed, missingForBox, THROWAWAY } from "./box.ts";

/** The files of a machine, as the one to throw away has them. */
function machine(changes: Partial<Record<"cmdline" | "type" | "more" | "ro", string>>): string | undefined {
  const directory = Deno.makeTempDirSync({ prefix: "kata-box-" });
  using stack = new DisposableStack();
  stack.defer(() => Deno.removeSync(directory, { recursive: true }));
  const { cmdline = `quiet ${THROWAWAY}`, type = "overlay", more = "", ro = "1" } = changes;
  const files = {
    "proc/cmdline": `${cmdline}\n`,
    "proc/self/mountinfo": `1 0 0:2 / / rw - ${type} root rw\n${more}`,
    "sys/block/vda/size": "1000\n",
    "sys/block/vda/ro": `${ro}\n`,
    "sys/block/loop0/size": "0\n",
    "sys/block/loop0/ro": "0\n",
  };
  for (const [name, text] of Object.entries(files)) {
    Deno.mkdirSync(`${directory}/${name.slice(0, name.lastIndexOf("/"))}`, { recursive: true });
    Deno.writeTextFileSync(`${directory}/${name}`, text);
  }
  return missingForBox({ proc: `${directory}/proc`, sys: `${directory}/sys` });
}

Deno.test("missingForBox() takes a machine that was made to be thrown away", () => {
  assert.equal(machine({}), undefined);
});

Deno.test.each([
  { name: "the word is not on the command line", changes: { cmdline: "quiet" } },
  { name: "the word is a part of another", changes: { cmdline: `${THROWAWAY}=1` } },
  { name: "the root is a disk's", changes: { type: "ext4" } },
  { name: "a directory is the host's", changes: { more: "2 1 0:3 / /mnt rw - virtiofs share rw\n" } },
  { name: "a disk can be written", changes: { ro: "0" } },
  { name: "a disk does not say", changes: { ro: "" } },
])("missingForBox() refuses a machine where $name", ({ changes }) => {
  assert.match(machine(changes) ?? "", /^it runs in a machine to throw away alone/);
});

Deno.test("missingForBox() refuses where nothing can be read", () => {
  assert.match(missingForBox({ proc: "/none", sys: "/none" }) ?? "", /cannot be told/);
});

Deno.test("boxed() makes no box on this machine", () => {
  assert.throws(() => boxed(["true"]), /Cannot run in a box: it runs in a machine to throw away alone/);
});
