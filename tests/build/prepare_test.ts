/** Files that scripts/prepare.sh takes from npm, with an npm in its PATH that gives what it is told to. */
import assert from "node:assert/strict";

const PREPARE = new URL("../../scripts/prepare.sh", import.meta.url).pathname;

/** A cache of its own, and an npm whose packages hold programs that tell when they are run. */
class Setting implements Disposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "kata-prepare-" });
  readonly cache = `${this.directory}/cache`;

  constructor() {
    Deno.mkdirSync(`${this.directory}/bin`);
    const program = `#!/bin/sh\\necho >>${this.directory}/ran; exit 1\\n`;
    Deno.writeTextFileSync(
      `${this.directory}/bin/npm`,
      `#!/bin/sh
      for package; do :; done
      echo "$package" >>${this.directory}/asked
      home=node_modules/\${package%@*}
      mkdir -p $home/bin
      printf '${program}' | tee $home/deno >$home/bin/esbuild
      chmod 755 $home/deno $home/bin/esbuild
      `,
      { mode: 0o755 },
    );
  }

  async run(script: string, env: Record<string, string> = {}): Promise<{ code: number; stderr: string }> {
    const { code, stderr } = await new Deno.Command("bash", {
      args: ["-c", script],
      env: { KATA_CACHE: this.cache, PATH: `${this.directory}/bin:${Deno.env.get("PATH")}`, ...env },
    }).output();
    return { code, stderr: new TextDecoder().decode(stderr) };
  }

  asked(): string[] {
    return Deno.readTextFileSync(`${this.directory}/asked`).trim().split("\n");
  }

  /** Whether a program of a package was run. */
  ran(): boolean {
    return [...Deno.readDirSync(this.directory)].some(({ name }) => name === "ran");
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.directory, { recursive: true });
  }
}

function files(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name);
}

const WRONG =
  /\nThe program of npm's (\S+) is not the one that is pinned: its sha256 is [0-9a-f]{64}, not [0-9a-f]{64}\n/;

Deno.test("F17: prepare.sh runs no Deno that is not the pinned one, says so, and leaves nothing of it", async () => {
  using setting = new Setting();
  const { code, stderr } = await setting.run(`source ${PREPARE}`);
  assert.equal(code, 1);
  const [asked] = setting.asked();
  assert.match(asked!, /^@deno\/linux-(x64|arm64)-glibc@[0-9.]+$/);
  assert.equal(WRONG.exec(stderr)?.[1], asked, stderr);
  assert.deepEqual(setting.asked(), [asked], "no second choice is asked for");
  assert.ok(!setting.ran(), "it was run");
  assert.deepEqual(files(setting.cache), []);
});

/** Sources it with the Deno that runs this test, in place of the one that it would install. */
function withThisDeno(cache: string, script: string): string {
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  const place =
    `${cache}/deno-$(sed -n 's/^readonly deno_version=//p' ${PREPARE})/node_modules/@deno/linux-${arch}-glibc`;
  return `mkdir -p "${place}"; ln -s '${Deno.execPath()}' "${place}/deno"
    : >${cache}/prefetched-$(sha256sum <"${PREPARE.replace("scripts/prepare.sh", "deno.lock")}" | cut -c1-16)
    source ${PREPARE}; ${script}`;
}

Deno.test("F17: prepare.sh bundles with no esbuild that is not the pinned one, also not with one that is there", async () => {
  using setting = new Setting();
  const DENO_DIR = `${setting.directory}/deno`;
  const there = `${DENO_DIR}/dl/esbuild-0.25.5-1`;
  Deno.mkdirSync(there, { recursive: true });
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  Deno.writeTextFileSync(`${there}/esbuild-linux-${arch}`, `#!/bin/sh\necho >>${setting.directory}/ran\n`, {
    mode: 0o755,
  });
  const entry = `${setting.directory}/entry.ts`;
  Deno.writeTextFileSync(entry, "console.log(1);");
  const script = `bundle_short esm ${entry} ${setting.directory}/out.js`;
  const { code, stderr } = await setting.run(withThisDeno(setting.cache, script), { DENO_DIR });
  assert.equal(code, 1, stderr);
  assert.equal(WRONG.exec(stderr)?.[1], `@esbuild/linux-${arch}@0.25.5`, stderr);
  assert.ok(!setting.ran(), "it was run");
  assert.deepEqual(files(there), [`esbuild-linux-${arch}`]);
});

Deno.test("prepare.sh refuses a package whose hash nobody has pinned", async () => {
  using setting = new Setting();
  const script = `touch ${setting.directory}/file; verify_program ${setting.directory}/file left-pad@1.3.0`;
  const { code, stderr } = await setting.run(withThisDeno(setting.cache, script));
  assert.equal(code, 1);
  assert.match(
    stderr,
    /Cannot use left-pad@1.3.0 of npm: pinned_sha256 in scripts\/prepare.sh has no hash of its program\n/,
  );
});

Deno.test("prepare.sh has a hash for each version that it names, and Deno runs the esbuild that it names", async () => {
  const script = await Deno.readTextFile(PREPARE);
  const versions = new Map(
    [...script.matchAll(/^readonly (\w+)_version=(\S+)$/gm)].map(([, name, text]) => [name, text]),
  );
  for (const arch of ["x64", "arm64"]) {
    for (
      const package_ of [
        `@deno/linux-${arch}-glibc@${versions.get("deno")}`,
        `@deno/linux-${arch}-glibc@${versions.get("deno_foreign")}`,
        `@esbuild/linux-${arch}@${versions.get("esbuild")}`,
      ]
    ) {
      assert.match(script, new RegExp(`^    ${package_.replaceAll(".", "\\.")}\\) echo [0-9a-f]{64} ;;$`, "m"));
    }
  }
  const generate = await Deno.readTextFile(new URL("../../scripts/generate", import.meta.url));
  assert.match(script, new RegExp(`@bufbuild/buf-linux-x64@${/^readonly buf_version=(.*)$/m.exec(generate)?.[1]}\\)`));
});
