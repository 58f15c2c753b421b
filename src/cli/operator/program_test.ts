import assert from "node:assert/strict";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

/** Runs the command as a user does. */
async function kataRuntime(...args: readonly string[]) {
  const run = ["run", "-A", "--no-check", "--cached-only", MAIN, "kata-runtime", ...args];
  const env = { KATA_CONF_FILE: "", NO_COLOR: "1" };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: run, env, stdin: "null" }).output();
  return { status: code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function withConfig(toml: string, body: (path: string, directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "kata-runtime-" });
  try {
    const path = `${directory}/configuration.toml`;
    Deno.writeTextFileSync(path, toml.replaceAll("DIR", directory));
    await body(path, directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** A configuration that needs no guest. */
const CONFIG = `[hypervisor.qemu]
path = "/proc/self/exe"
kernel = "/proc/self/exe"
initrd = "/proc/self/exe"
virtio_fs_daemon = "/proc/self/exe"
[factory]
template_path = "DIR/templates"
`;

Deno.test("kata-runtime shows its help, its version and where it looks for a configuration (B51)", async () => {
  const [help, version, paths] = await Promise.all(
    ["--help", "--version", "--show-default-config-paths"].map((word) => kataRuntime(word)),
  );
  assert.equal(help!.status, 0);
  assert.match(help!.stdout, /^Usage: kata-runtime \[options\] \[command\]\n[^]*\n {2}factory /);
  assert.deepEqual(version, { status: 0, stdout: "0.1.0\n", stderr: "" });
  assert.equal(
    paths!.stdout,
    "/etc/kata-containers/configuration.toml\n/usr/share/defaults/kata-containers/configuration.toml\n",
  );
});

Deno.test("kata-runtime refuses a command line that makes no sense, in one line", async () => {
  const runs = await Promise.all([kataRuntime("frobnicate"), kataRuntime("factory", "init", "--memory", "much")]);
  assert.deepEqual(runs.map(({ status, stdout }) => ({ status, stdout })), [
    { status: 1, stdout: "" },
    { status: 1, stdout: "" },
  ]);
  for (const { stderr } of runs) assert.equal(stderr.trim().split("\n").length, 1, stderr);
});

Deno.test("kata-runtime factory status and destroy tell that there is no template (B41)", async () => {
  await withConfig(CONFIG, async (path, directory) => {
    const status = await kataRuntime("--config", path, "factory", "status");
    assert.equal(status.status, 0, status.stderr);
    assert.equal(
      status.stdout,
      `Configuration ${path}, templates in ${directory}/templates: on\n` +
        'There is none; "kata-runtime factory init" makes one\n',
    );
    const destroy = await kataRuntime("factory", "destroy", "--config", path);
    assert.deepEqual(destroy, { status: 0, stdout: `There was none in ${directory}/templates\n`, stderr: "" });
  });
});

Deno.test("kata-runtime says what of a configuration has no effect yet, and goes on; an unknown key it refuses", async () => {
  const planned = "[runtime]\nkeep_abnormal = true\n[hypervisor.clh]\npath = '/x'\n";
  await withConfig(CONFIG + planned, async (path) => {
    const { status, stderr } = await kataRuntime("--config", path, "factory", "status");
    assert.deepEqual({ status, stderr }, {
      status: 0,
      stderr: `kata-runtime: Table hypervisor.clh in "${path}" has no effect: it is not supported yet\n` +
        "kata-runtime: Setting runtime.keep_abnormal has no effect: it is not supported yet\n",
    });
  });
  await withConfig(`${CONFIG}template_pathh = "/x"\n`, async (path) => {
    const { status, stderr } = await kataRuntime("--config", path, "factory", "status");
    assert.deepEqual({ status, stderr }, {
      status: 1,
      stderr: `kata-runtime: Cannot use "${path}:8:1": unknown key factory.template_pathh, ` +
        "nearest is factory.template_path\n",
    });
  });
});

Deno.test("kata-runtime factory init says why a configuration can have no template, and leaves nothing", async () => {
  await withConfig(`${CONFIG}[hypervisor.qemu.factory]\nenable_template = false\n`, async (path, directory) => {
    const failed = await kataRuntime("--config", path, "factory", "init");
    assert.equal(failed.status, 1);
    assert.match(
      failed.stderr,
      /^kata-runtime: Cannot start the VM of sandbox "template": qemu \(pid \d+\) exited .*\n$/,
    );
    assert.deepEqual([...Deno.readDirSync(`${directory}/templates`)], []);
    assert.match((await kataRuntime("--config", path, "factory", "status")).stdout, /: off \(enable_template\)\n/);
  });
  await withConfig(CONFIG.replace("[factory]", "enable_hugepages = true\n[factory]"), async (path) => {
    const { status, stderr } = await kataRuntime("--config", path, "factory", "init");
    assert.deepEqual({ status, stderr }, {
      status: 1,
      stderr: "kata-runtime: Cannot use a template with this configuration: " +
        "enable_hugepages takes memory that a template cannot be copied into\n",
    });
  });
});
