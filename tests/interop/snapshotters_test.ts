/** Root file systems as containerd's snapshotters hand them over. Needs what `shim_containerd_test.ts` needs. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { Containerd, type ContainerdOptions, releases, RUNTIME } from "./containerd.ts";
import { list } from "./host.ts";
import { IMAGE } from "./image.ts";
import { Templates } from "./template.ts";

const RUNC = "io.containerd.runc.v2";
const MISSING = releases().length === 0 && "containerd is not installed";

async function withContainerd(
  options: ContainerdOptions,
  use: (containerd: Containerd) => Promise<void>,
): Promise<void> {
  await using containerd = await Containerd.start(options);
  await use(containerd);
  assert.deepEqual(await containerd.remains(), []);
}

for (const release of releases()) {
  Deno.test({
    name:
      `containerd ${release.version}: 130 layers, whose options mount(2) cannot take, are what containerd mounts itself`,
    ignore: leftOut(import.meta, MISSING),
    sanitizeResources: false,
    async fn() {
      await withContainerd({ release }, async (containerd) => {
        const name = "localhost/layers:1";
        await containerd.import({ name, moreLayers: 130 });
        const script =
          "cd /; cat last; ls layers | wc -l; find layers bin etc last | sort | md5sum; cat layers/* | md5sum";
        const [ours, theirs] = await Promise.all([RUNTIME, RUNC].map(async (runtime) => {
          const id = containerd.id("layers");
          return await containerd.ctr("run", "--rm", "--runtime", runtime, name, id, "sh", "-c", script);
        }));
        assert.equal(ours!.status, 0, ours!.stderr);
        assert.match(ours!.stdout, /^130\n129\n/);
        assert.equal(ours!.stdout, theirs!.stdout, theirs!.stderr);
      });
    },
  });
}

/** The blockfile snapshotter came with 2.0; it copies a file that holds an empty file system. */
const NEWER = releases().find(({ version }) => !version.startsWith("1."));
const UNFIT = MISSING || (NEWER === undefined ? "needs a containerd from 2.0 on" : !exists("/dev/loop-control") &&
  "containerd unpacks by loop devices, of which the kernel has none");

function blockfile(directory: string): string {
  const scratch = `${directory}/scratch.img`;
  const { success } = new Deno.Command("mkfs.ext4", { args: ["-q", scratch, "32M"] }).outputSync();
  assert.ok(success);
  return `
[plugins."io.containerd.snapshotter.v1.blockfile"]
scratch_file = "${scratch}"
fs_type = "ext4"
mount_options = []
`;
}

/** Runs a container on a snapshot of the blockfile snapshotter, and looks into the file afterwards. */
async function runOnBlockfile(containerd: Containerd): Promise<void> {
  const id = containerd.id("block");
  const script = "mount | grep ' / '; echo written > /mark";
  const run = ["run", "--snapshotter", "blockfile", "--runtime", RUNTIME, IMAGE, id, "sh", "-c", script];
  const { status, stdout, stderr } = await containerd.ctr(...run);
  assert.equal(status, 0, stderr);
  assert.match(stdout, / ext4 \(rw/);
  const snapshots = `${containerd.directory}/root/io.containerd.snapshotter.v1.blockfile/snapshots`;
  const marks = await Promise.all(
    list(snapshots).map((name) => containerd.run(["debugfs", "-R", "cat /mark", `${snapshots}/${name}`])),
  );
  assert.equal(marks.map(({ stdout }) => stdout).join(""), "written\n");
  await containerd.must("containers", "delete", id);
}

Deno.test({
  name: "B25: the files of containerd's blockfile snapshotter are disks, whose content it sees afterwards",
  ignore: leftOut(import.meta, UNFIT),
  sanitizeResources: false,
  fn: () => withContainerd({ release: NEWER!, plugins: blockfile }, runOnBlockfile),
});

Deno.test({
  name: "B25: a machine from a template gets files of containerd's blockfile snapshotter as disks, too",
  ignore: leftOut(import.meta, UNFIT),
  sanitizeResources: false,
  async fn() {
    await using templates = new Templates();
    const configure = templates.configure;
    await withContainerd({ release: NEWER!, plugins: blockfile, configure }, async (containerd) => {
      await templates.make(containerd.directory);
      await runOnBlockfile(containerd);
      assert.match(containerd.log(), /"Started from a template"/);
    });
  },
});
