import assert from "node:assert/strict";
import { MANAGEMENT_SOCKET } from "../../shim_api/contract.ts";
import { serveManagement } from "../../shim_api/server.ts";
import { COMMANDS } from "./commands.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

/** Runs the command as a user does. */
function kataRuntime(...args: readonly string[]) {
  return call("kata-runtime", ...args);
}

async function call(...args: readonly string[]) {
  const run = ["run", "-A", "--no-check", "--cached-only", MAIN, ...args];
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

Deno.test.each([
  { args: ["metrcs"], says: 'Cannot run command "metrcs": nearest is metrics' },
  { args: ["frobnicate"], says: 'Cannot run command "frobnicate": known are explain, factory, metrics, version' },
  { args: ["--jsn"], says: "unknown option '--jsn'" },
  { args: ["metrics"], says: "missing required argument 'sandbox'" },
  { args: ["metrics", "a", "b"], says: "too many arguments for 'metrics'. Expected 1 argument but got 2: a, b." },
  { args: ["metrics", "a", "--jsom"], says: "unknown option '--jsom' (Did you mean --json?)" },
  { args: ["factory", "inti"], says: "unknown command 'inti' (Did you mean init?)" },
  {
    args: ["factory", "init", "--memory", "much"],
    says: "option '--memory <MiB>' argument 'much' is invalid. expected a whole number, at least 1",
  },
])("kata-ctl refuses $args in one line, with status 2", async ({ args, says }) => {
  assert.deepEqual(await call("kata-ctl", ...args), { status: 2, stdout: "", stderr: `kata-ctl: ${says}\n` });
});

Deno.test.each(COMMANDS)("kata-runtime $name has a help with examples, by --help and by help", async (row) => {
  const [byOption, byWord] = await Promise.all([kataRuntime(row.name, "--help"), kataRuntime("help", row.name)]);
  assert.deepEqual(byOption, byWord);
  assert.equal(byOption.status, 0);
  assert.match(byOption.stdout, new RegExp(`^Usage: kata-runtime ${row.name} `));
  for (const [words] of row.examples) assert.ok(byOption.stdout.includes(`\n  kata-runtime ${words}\n`));
});

Deno.test("COMMANDS is in the order of the alphabet, and each example begins with its command", () => {
  const names = COMMANDS.map(({ name }) => name);
  assert.deepEqual(names, names.toSorted());
  for (const { name, examples } of COMMANDS) assert.ok(examples.every(([words]) => words.startsWith(`${name} `)), name);
});

Deno.test("kata-ctl explain tells of a key, for people and for programs, and the nearest of one that is none", async () => {
  const [text, json, wrong] = await Promise.all([
    call("kata-ctl", "explain", "default_memory"),
    call("kata-ctl", "explain", "io.katacontainers.config.hypervisor.default_memory", "--json"),
    call("kata-ctl", "explain", "defualt_memory"),
  ]);
  assert.match(text.stdout, /^hypervisor\.qemu\.default_memory\n {2}Memory[^]*\n {2}Default: 2048\n/);
  const [{ key, facts }] = JSON.parse(json.stdout);
  assert.equal(key, "hypervisor.qemu.default_memory");
  assert.deepEqual(facts.find(({ name }: { name: string }) => name === "Default"), { name: "Default", text: "2048" });
  const says = 'kata-ctl: Cannot explain "defualt_memory": no such key, nearest is default_memory\n';
  assert.deepEqual(wrong, { status: 1, stdout: "", stderr: says });
});

Deno.test("kata-ctl version tells the build, with its name", async () => {
  const [text, json] = await Promise.all([call("kata-ctl", "version"), call("kata-ctl", "version", "--json")]);
  assert.match(text.stdout, /^kata-ctl 0\.1\.0 \(source, Deno [\d.]+, \w+-unknown-linux-gnu\)\n$/);
  assert.equal(JSON.parse(json.stdout).version, "0.1.0");
});

Deno.test("kata-ctl metrics prints a sandbox's figures, for people and for programs, and says what there is", async () => {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(`${root}/3f2a`);
  const stop = new AbortController();
  const figures = '# HELP a All\n# TYPE a gauge\na{item="x"} 1\n';
  const management = { metrics: () => Promise.resolve(figures) };
  const serving = serveManagement(`${root}/3f2a/${MANAGEMENT_SOCKET}`, management, { signal: stop.signal });
  try {
    const [text, json, none] = await Promise.all([
      call("kata-ctl", "--root", root, "metrics", "3f"),
      call("kata-ctl", "metrics", "3f2a", "--json", "--root", root),
      call("kata-ctl", "metrics", "4", "--root", root),
    ]);
    assert.deepEqual(text, { status: 0, stdout: figures, stderr: "" });
    const samples = [{ name: "a", labels: { item: "x" }, value: 1 }];
    assert.deepEqual(JSON.parse(json.stdout), [{ name: "a", help: "All", type: "gauge", samples }]);
    const says = `kata-ctl: Cannot find sandbox "4" in "${root}": there are "3f2a"\n`;
    assert.deepEqual(none, { status: 1, stdout: "", stderr: says });
  } finally {
    stop.abort();
    await serving;
    await Deno.remove(root, { recursive: true });
  }
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
