import assert from "node:assert/strict";
import { recordPid, startTime } from "./process/pid_file.ts";
import {
  differences,
  fittingTemplate,
  listTemplates,
  removeTemplates,
  stampFile,
  templateFiles,
  templateId,
  type TemplateIdentity,
  UnfinishedTemplate,
} from "./template.ts";
import { leftOutUnlessRoot } from "../base/testing/left_out.ts";

const IDENTITY: TemplateIdentity = {
  program: "1.0.0",
  files: { kernel: "/k (1 bytes)", image: "" },
  processor: "emulated",
  memoryMiB: 512,
  vcpus: 1,
  arguments: ["-m", "512M", "-append", "quiet"],
};

async function withRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = Deno.makeTempDirSync({ prefix: "kata-templates-" });
  try {
    await body(root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

async function publish(root: string, identity: TemplateIdentity) {
  using unfinished = new UnfinishedTemplate(root);
  return await unfinished.publish(identity);
}

Deno.test.each<{ title: string; change: Partial<TemplateIdentity>; line: string }>([
  { title: "program", change: { program: "2.0.0" }, line: "program is 1.0.0, not 2.0.0" },
  {
    title: "kernel",
    change: { files: { kernel: "/other (2 bytes)", image: "" } },
    line: "kernel is /k (1 bytes), not /other (2 bytes)",
  },
  {
    title: "image",
    change: { files: { kernel: "/k (1 bytes)", image: "/i (3 bytes)" } },
    line: "image is none, not /i (3 bytes)",
  },
  { title: "processor", change: { processor: "a: b" }, line: "processor is emulated, not a: b" },
  { title: "memory", change: { memoryMiB: 1024 }, line: "memory is 512 MiB, not 1024 MiB" },
  { title: "vCPUs", change: { vcpus: 2 }, line: "vcpus is 1, not 2" },
  {
    title: "arguments",
    change: { arguments: ["-m", "512M", "-append", "debug"] },
    line: "the monitor was started with quiet, not with debug",
  },
])("a template of another $title does not fit, and differences() says so", async ({ change, line }) => {
  const wanted = { ...IDENTITY, ...change };
  assert.notEqual(await templateId(IDENTITY), await templateId(wanted));
  assert.deepEqual(differences(IDENTITY, wanted), [line]);
  await withRoot(async (root) => {
    await publish(root, IDENTITY);
    assert.equal(await fittingTemplate(root, wanted), `none in ${root} fits; of the last one, ${line}`);
  });
});

Deno.test("fittingTemplate() finds the template of the same identity", async () => {
  await withRoot(async (root) => {
    assert.match(await fittingTemplate(root, IDENTITY) as string, /^there is none in .*; "kata-runtime factory init"/);
    const { id, directory } = await publish(root, IDENTITY);
    assert.deepEqual(await fittingTemplate(root, structuredClone(IDENTITY)), listTemplates(root)[0]);
    assert.equal(directory, `${root}/${id}`);
    assert.deepEqual(differences(IDENTITY, structuredClone(IDENTITY)), []);
  });
});

Deno.test("F3: fittingTemplate() does not trust a template that others can write to, and no other use does", async () => {
  await withRoot(async (root) => {
    const { directory } = await publish(root, IDENTITY);
    Deno.chmodSync(directory, 0o775);
    assert.equal(await fittingTemplate(root, IDENTITY), `others than its owner may write to "${directory}"`);
    Deno.chmodSync(directory, 0o700);
    Deno.chmodSync(root, 0o777);
    const problem = `others than its owner may write to "${root}"`;
    assert.equal(await fittingTemplate(root, IDENTITY), problem);
    const refusal = { message: `Cannot use template_path "${root}": ${problem}` };
    assert.throws(() => new UnfinishedTemplate(root), refusal);
    await assert.rejects(removeTemplates(root), refusal);
    Deno.chmodSync(root, 0o700);
    assert.equal(listTemplates(root).length, 1);
  });
});

Deno.test({
  name: "F3: what another user planted where all may make directories is neither read nor removed, and ends no process",
  ignore: leftOutUnlessRoot(import.meta),
  fn: () =>
    withRoot(async (root) => {
      Deno.chmodSync(root, 0o1777);
      const { id } = await publish(root, IDENTITY);
      await using victim = new Deno.Command("sleep", { args: ["1000"] }).spawn();
      const other = { ...IDENTITY, vcpus: 2 };
      const planted = await publish(root, other);
      for (const directory of [planted.directory, `${root}/.making-planted`]) {
        Deno.mkdirSync(directory, { recursive: true });
        recordPid(directory, { name: "qemu", pid: victim.pid });
        Deno.chownSync(directory, 65534, 65534);
      }
      assert.equal(await fittingTemplate(root, other), `"${planted.directory}" belongs to user 65534`);
      assert.deepEqual(listTemplates(root).map((template) => template.id), [id]);
      assert.deepEqual(await removeTemplates(root), [id]);
      assert.notEqual(startTime(victim.pid), undefined, "it was ended");
      assert.equal([...Deno.readDirSync(root)].length, 2);
      victim.kill();
    }),
});

Deno.test("F17: the memory of a template is for nobody but its owner", async () => {
  await withRoot(async (root) => {
    const { memory } = templateFiles((await publish(root, IDENTITY)).directory);
    assert.equal(Deno.statSync(memory).mode! & 0o777, 0o600);
  });
});

Deno.test("UnfinishedTemplate appears at once or not at all, and the first of two stays", async () => {
  await withRoot(async (root) => {
    {
      using unfinished = new UnfinishedTemplate(root);
      Deno.writeTextFileSync(`${unfinished.directory}/memory`, "half");
      assert.deepEqual(listTemplates(root), []);
    }
    assert.deepEqual([...Deno.readDirSync(root)], []);
    const first = await publish(root, IDENTITY);
    assert.deepEqual(await publish(root, IDENTITY), first);
    assert.deepEqual([...Deno.readDirSync(root)].map(({ name }) => name), [first.id]);
  });
});

Deno.test("removeTemplates() takes templates and half of them away, nothing else, twice (B38)", async () => {
  await withRoot(async (root) => {
    const { id } = await publish(root, IDENTITY);
    new UnfinishedTemplate(root);
    Deno.mkdirSync(`${root}/somebody-else's`);
    assert.deepEqual(await removeTemplates(root), [id]);
    assert.deepEqual(await removeTemplates(root), []);
    assert.deepEqual([...Deno.readDirSync(root)].map(({ name }) => name), ["somebody-else's"]);
    assert.deepEqual(await removeTemplates(`${root}/nowhere`), []);
  });
});

Deno.test("stampFile() tells a file from another one in its place", async () => {
  await withRoot(async (root) => {
    const path = `${root}/kernel`;
    Deno.writeTextFileSync(path, "one");
    const before = stampFile(path);
    assert.equal(stampFile(path), before);
    Deno.writeTextFileSync(`${root}/new`, "two");
    Deno.renameSync(`${root}/new`, path);
    assert.notEqual(stampFile(path), before);
    assert.equal(stampFile(""), "");
  });
});
