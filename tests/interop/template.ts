/** A directory of templates and the command that fills it, for tests and the bench. @module */
import assert from "node:assert/strict";

const REPO = new URL("../../", import.meta.url).pathname;

export interface Printed {
  status: number;
  stdout: string;
  stderr: string;
}

/** A place for templates of its own. Disposing it removes them all. */
export class Templates implements AsyncDisposable {
  readonly directory: string = Deno.makeTempDirSync({ prefix: "kata-templates-" });

  /** Adds the place to a configuration: for {@linkcode Containerd.start}. */
  readonly configure = (toml: string): string => `${toml}[factory]\ntemplate_path = "${this.directory}"\n`;

  /** Runs `kata-runtime factory`. @param home Directory with `configuration.toml`. */
  async factory(home: string, ...words: readonly string[]): Promise<Printed> {
    const args = ["--config", `${home}/configuration.toml`, "factory", ...words];
    const { code, stdout, stderr } = await kataRuntime(args).output();
    const decoder = new TextDecoder();
    return { status: code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Makes the template for a configuration. @returns What was printed. */
  async make(home: string): Promise<string> {
    const { status, stdout, stderr } = await this.factory(home, "init");
    assert.equal(status, 0, stderr);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** The built program where the tests were given one, else the source tree. */
function kataRuntime(args: readonly string[]): Deno.Command {
  const shim = Deno.env.get("KATA_SHIM");
  const built = shim && `${shim.slice(0, shim.lastIndexOf("/"))}/kata-runtime`;
  if (built) return new Deno.Command(built, { args: [...args], stdin: "null" });
  const run = ["run", "-A", "--unstable-vsock", "--no-check", "--cached-only", `${REPO}main.ts`, "kata-runtime"];
  return new Deno.Command(Deno.execPath(), { args: [...run, ...args], stdin: "null" });
}
