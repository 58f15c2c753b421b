import assert from "node:assert/strict";
import { testAssembly, testEachMachine } from "../../../src/linux/child_program/testing/assembler.ts";
import { assembleInit } from "../init_program/init_program.ts";
import { launcher } from "../launcher/launcher.ts";
import { headCode, portableHead } from "./portable_head.ts";
import { leftOutUnlessRoot } from "../../../src/base/testing/left_out.ts";

testAssembly("headCode", { sources: new URL(".", import.meta.url), bytes: headCode });

const PAYLOAD = "the payload";
const FLAGS = ["-A", "--no-config"];
/** Stands in for the programs, and says what it was given. */
const PROGRAM = `
const [args, environment] = ["cmdline", "environ"].map((name) => Deno.readFileSync("/proc/self/" + name).toHex());
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ args, environment })));
`;
/** Stands in for the script, and says the same. */
const SCRIPT = `exec '${Deno.execPath()}' run -A @DIRECTORY@/shell.js "$(tail -c +@HEAD_BYTES@ "$0")" "$0" "$@"`;

interface Portable extends AsyncDisposable {
  /** Holds all others, and is where it is started. */
  directory: string;
  file: string;
  tree: string;
}

/** A program of one's own, no link: each tree gets a name of it. */
const DENO = Deno.makeTempDirSync({ prefix: "kata-head-deno-" });
Deno.copyFileSync(Deno.execPath(), `${DENO}/deno`);
addEventListener("unload", () => Deno.removeSync(DENO, { recursive: true }));

async function makePortable(architecture = Deno.build.arch): Promise<Portable> {
  const directory = await Deno.makeTempDir({ prefix: "kata-head-" });
  const [file, tree] = [`${directory}/kata`, `${directory}/tree`];
  await Deno.mkdir(tree);
  await Deno.link(`${DENO}/deno`, `${tree}/deno`);
  await Deno.writeFile(`${tree}/launcher`, launcher(Deno.build.arch), { mode: 0o755 });
  for (const program of ["tree/main", "tree/runk", "shell"]) {
    await Deno.writeTextFile(`${directory}/${program}.js`, PROGRAM);
  }
  const script = SCRIPT.replace("@DIRECTORY@", directory);
  const head = portableHead({ architecture, tree, denoFlags: FLAGS, script });
  await Deno.writeFile(file, head, { mode: 0o755 });
  await Deno.writeTextFile(file, PAYLOAD, { append: true });
  return { directory, file, tree, [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }) };
}

interface Start {
  /** @default the file's own path */
  path?: string;
  /** The first one is the name. */
  args?: readonly string[];
  environment?: readonly string[];
}

/** Starts it with exactly these; @returns those that a program got. */
async function start(
  { directory, file }: Portable,
  { path = file, args = ["name"], environment = [] }: Start = {},
): Promise<{ args: string[]; environment: string[] }> {
  const caller = `${directory}/caller`;
  const execve = { call: "execve", args: [path, args, environment], onError: "stop" } as const;
  await Deno.writeFile(caller, assembleInit([execve], Deno.build.arch), { mode: 0o755 });
  const { success, stdout, stderr } = await new Deno.Command(caller, { cwd: directory }).output();
  assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  const given = JSON.parse(new TextDecoder().decode(stdout));
  return { args: strings(given.args), environment: strings(given.environment) };
}

function strings(hex: string): string[] {
  return new TextDecoder().decode(Uint8Array.fromHex(hex)).split("\0").slice(0, -1);
}

const V8_FLAGS = /^--v8-flags=--no-sparkplug,/;

Deno.test("portableHead() runs the tree's program with all arguments", async () => {
  await using portable = await makePortable();
  const many = Array.from({ length: 5000 }, (_, index) => `argument ${index}`);
  for (const given of [[], [""], ["", " two  spaces ", "", "*", "$HOME", "ü\n'\"\\"], many]) {
    const { args } = await start(portable, { args: ["name", ...given] });
    const { tree } = portable;
    assert.deepEqual(args, [`${tree}/deno`, "run", "--quiet", ...FLAGS, `${tree}/main.js`, ...given]);
  }
});

testEachMachine(
  (arch) => `portableHead() runs the tree's program, or else the script (${arch})`,
  async ({ arch, prefix }) => {
    await using portable = await makePortable(arch);
    const { file, tree, directory } = portable;
    const [command = "", ...words] = [...prefix, file];
    const run = async () => {
      const options = { args: [...words, "", "a b"], env: { KATA_FORM: "none" }, clearEnv: true, cwd: directory };
      const { success, stdout, stderr } = await new Deno.Command(command, options).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const { args, environment } = JSON.parse(new TextDecoder().decode(stdout));
      assert.deepEqual(strings(environment).filter((word) => word.startsWith("KATA_")), [
        "KATA_FORM=portable",
        `KATA_ARGV0=${file}`,
      ]);
      return strings(args);
    };
    assert.deepEqual(await run(), [`${tree}/deno`, "run", "--quiet", ...FLAGS, `${tree}/main.js`, "", "a b"]);
    await Deno.writeTextFile(`${tree}/going`, "");
    assert.deepEqual((await run()).slice(4), [PAYLOAD, file, "main", `run --quiet ${FLAGS.join(" ")}`, "", "a b"]);
  },
);

Deno.test("portableHead() keeps the environment but for what it sets itself", async () => {
  await using portable = await makePortable();
  const kept = ["KATA_ARGV=1", "KATA_ARGV0X=2", "KATA_ARGV0", "DENO_DIRX=3", "a.b-c=4", "=5", "", "K", "PWD=/no/such"];
  const many = Array.from({ length: 3000 }, (_, index) => `variable${index}=${index}`);
  const replaced = ["KATA_ARGV0=a", "KATA_FORM=", "DENO_DIR=/b", "KATA_ARGV0=c", "DENO_NO_UPDATE_CHECK=0"];
  const set = [
    `DENO_DIR=${portable.tree}/cache/main`,
    "DENO_NO_UPDATE_CHECK=1",
    "KATA_FORM=portable",
    `KATA_ARGV0=${portable.file}`,
  ];
  const mixed = [replaced[0]!, ...kept, replaced[1]!, ...many, ...replaced.slice(2)];
  assert.deepEqual((await start(portable, { environment: mixed })).environment, [...kept, ...many, ...set]);
  assert.deepEqual((await start(portable)).environment, set);
});

Deno.test("portableHead() goes by the name of the file, not by argv[0]", async () => {
  await using portable = await makePortable();
  const program = async (path: string, name: string) => {
    const { args, environment } = await start(portable, { path, args: [name, "x"] });
    assert.ok(environment.includes(`KATA_ARGV0=${path}`), `${environment}`);
    const file = args.at(-2)!;
    assert.equal(V8_FLAGS.test(args.at(-3)!), file.endsWith("runk.js"));
    assert.equal(environment[0], `DENO_DIR=${portable.tree}/cache/${/(\w+)\.js$/.exec(file)?.[1]}`);
    return file.slice(`${portable.tree}/`.length);
  };
  for (const name of ["runk", "runk2", "run", "xrunk"]) await Deno.symlink("kata", `${portable.directory}/${name}`);
  assert.equal(await program("runk", "kata"), "runk.js");
  assert.equal(await program("./runk", ""), "runk.js");
  assert.equal(await program(`${portable.directory}/runk`, "runk"), "runk.js");
  for (const path of ["runk2", "run", "./xrunk", "kata"]) assert.equal(await program(path, "runk"), "main.js");
});

Deno.test("portableHead() names a file of the longest path", async () => {
  await using portable = await makePortable();
  const path = `${"./".repeat(2045)}kata`;
  assert.equal(path.length, 4094);
  const { environment } = await start(portable, { path });
  assert.equal(environment.at(-1), `KATA_ARGV0=${path}`);
});

Deno.test("portableHead() marks the tree as used", async () => {
  await using portable = await makePortable();
  const mark = `${portable.tree}/used`;
  await start(portable);
  await Deno.utime(mark, 0, 0);
  await start(portable);
  assert.notEqual((await Deno.stat(mark)).mtime?.getTime(), 0);
});

Deno.test("portableHead() does without the mark where it cannot make it", async () => {
  await using portable = await makePortable();
  await Deno.mkdir(`${portable.tree}/used`);
  assert.equal((await start(portable)).args[0], `${portable.tree}/deno`);
});

interface Slow {
  when: string;
  change: (tree: string) => Promise<unknown>;
  asRoot?: true;
}

async function otherUsers(path: string): Promise<void> {
  await Deno.chown(path, 65534, null);
}

/** Puts a link in the place of a file, to that very file elsewhere. */
async function makeLink(path: string): Promise<void> {
  await Deno.rename(path, path.replace(/tree.*/, "elsewhere"));
  await Deno.symlink(path.replace(/tree.*/, "elsewhere"), path);
}

const PROGRAMS = ["deno", "launcher", "main.js", "runk.js"];
const SLOW: Slow[] = [
  { when: "there is no tree", change: (tree) => Deno.remove(tree, { recursive: true }) },
  { when: "the tree is going", change: (tree) => Deno.writeTextFile(`${tree}/going`, "") },
  { when: "the tree goes in this moment", change: (tree) => Deno.remove(`${tree}/launcher`) },
  { when: "F15: the tree is another user's", change: otherUsers, asRoot: true },
  { when: "F15: the tree's parent is another user's", change: (tree) => otherUsers(`${tree}/..`), asRoot: true },
  { when: "F15: the tree is a link", change: makeLink },
  { when: "F15: others may write to the tree", change: (tree) => Deno.chmod(tree, 0o757) },
  { when: "F15: a group may write to the tree", change: (tree) => Deno.chmod(tree, 0o775) },
  { when: "F15: others may write to the tree's parent", change: (tree) => Deno.chmod(`${tree}/..`, 0o777) },
  ...PROGRAMS.flatMap((name): Slow[] => [
    {
      when: `F15: ${name} is another user's`,
      change: async (tree) => otherUsers(await remade(`${tree}/${name}`)),
      asRoot: true,
    },
    { when: `F15: ${name} is a link`, change: (tree) => makeLink(`${tree}/${name}`) },
    {
      when: `F15: others may write to ${name}`,
      change: async (tree) => Deno.chmod(await remade(`${tree}/${name}`), 0o757),
    },
  ]),
];

/** A file of its own, as all trees have the same Deno. */
async function remade(path: string): Promise<string> {
  await Deno.copyFile(path, `${path}.new`);
  await Deno.rename(`${path}.new`, path);
  return path;
}

Deno.test("portableHead() runs what lies in a directory with the sticky bit, where others may write", async () => {
  await using portable = await makePortable();
  await Deno.chmod(portable.directory, 0o1777);
  assert.equal((await start(portable)).args[0], `${portable.tree}/deno`);
});

Deno.test({
  name: "portableHead() runs root's tree for another user",
  ignore: leftOutUnlessRoot(import.meta),
  async fn() {
    await using portable = await makePortable();
    await Deno.chmod(portable.directory, 0o755);
    const args = ["--reuid", "65534", "--regid", "65534", "--clear-groups", portable.file];
    const { stdout, stderr } = await new Deno.Command("setpriv", { args, cwd: "/" }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.equal(strings(JSON.parse(new TextDecoder().decode(stdout)).args)[0], `${portable.tree}/deno`);
  },
});

Deno.test("F15: portableHead() empties no file that the mark of a planted tree leads to", async () => {
  await using portable = await makePortable();
  const victim = `${portable.directory}/victim`;
  await Deno.writeTextFile(victim, "precious");
  await Deno.symlink(victim, `${portable.tree}/used`);
  await start(portable);
  assert.equal(await Deno.readTextFile(victim), "precious");
});

for (const { when, change, asRoot } of SLOW) {
  Deno.test({
    name: `portableHead() calls the script if ${when}`,
    ignore: asRoot === true && leftOutUnlessRoot(import.meta),
    async fn() {
      await using portable = await makePortable();
      await change(portable.tree);
      await Deno.symlink("kata", `${portable.directory}/runk`);
      const { args, environment } = await start(portable, { path: "./runk", args: ["name", "", "a b"] });
      const [payload, file, program, flags, ...rest] = args.slice(4);
      assert.deepEqual([payload, file, program, rest], [PAYLOAD, "./runk", "runk", ["", "a b"]]);
      assert.match(flags!, /^run --quiet -A --no-config --v8-flags=--no-sparkplug,[^ ]+$/);
      for (const variable of ["KATA_ARGV0=./runk", "KATA_FORM=portable", "DENO_NO_UPDATE_CHECK=1"]) {
        assert.ok(environment.includes(variable), `${environment}`);
      }
    },
  });
}
