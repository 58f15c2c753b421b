/** A directory that stands for a cgroup in unit tests: its files exist and are ordinary. @module */
export class FakeCgroup implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "cgroup-" });

  /** @param files Those that the kernel would show, by name, with their content. */
  constructor(files: Readonly<Record<string, string>>) {
    for (const [name, content] of Object.entries(files)) Deno.writeTextFileSync(`${this.path}/${name}`, content);
  }

  /** Returns the last text written. A write does not shorten a file, so a test begins with empty ones. */
  read(name: string): string {
    return Deno.readTextFileSync(`${this.path}/${name}`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
