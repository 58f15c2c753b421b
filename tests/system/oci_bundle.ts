/** A bundle with a busybox root file system, and containers made from it, for the tests of the engine. */
import { exists } from "../../src/base/files.ts";
import assert from "node:assert/strict";
import { detectCgroups } from "../../src/linux/cgroup/cgroup.ts";
import { type Pipe, pipe } from "../../src/linux/io/fd.ts";
import { readableStream } from "../../src/linux/io/fd_stream.ts";
import { mountsBelow, readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { exitCode } from "../../src/linux/process/wait.ts";
import { Container, type ContainerProcess, type CreateOptions } from "../../src/oci/container/container.ts";
import type { Process, Spec } from "../../src/oci/spec/spec.ts";

const APPLETS = "sh cat echo sleep true false id ls mount hostname kill stat touch grep cut wc mkdir tty stty env"
  .split(" ");

/** Missing ones make a test skip, and say why. */
/** Why tests are left out where they are not {@linkcode isReady}. */
export const NOT_READY = "needs root and busybox-static";

export function isReady(): boolean {
  return Deno.uid() === 0 && exists("/usr/bin/busybox");
}

type Change = (spec: Spec & Required<Pick<Spec, "process" | "linux" | "mounts">>) => void;

/** A temp dir with `rootfs` and `state`; disposing it removes it, and fails if a container left something behind. */
export class Bundle implements Disposable {
  readonly path = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "oci-engine-" }));
  /** Below the root of each hierarchy. */
  readonly cgroup = `oci-engine-${crypto.randomUUID().slice(0, 8)}`;
  #next = 0;

  constructor() {
    Deno.mkdirSync(`${this.rootfs}/bin`, { recursive: true });
    for (const name of ["proc", "sys", "dev", "tmp", "etc", "usr", "root"]) Deno.mkdirSync(`${this.rootfs}/${name}`);
    Deno.copyFileSync("/usr/bin/busybox", `${this.rootfs}/bin/busybox`);
    for (const applet of APPLETS) Deno.symlinkSync("busybox", `${this.rootfs}/bin/${applet}`);
    Deno.writeTextFileSync(
      `${this.rootfs}/etc/passwd`,
      "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    );
    Deno.chmodSync(this.path, 0o755);
  }

  get rootfs(): string {
    return `${this.path}/rootfs`;
  }

  /** A configuration like that of `runc spec`, changed by the test. */
  spec(args: readonly string[], change: Change = () => {}): Spec {
    const capabilities = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"];
    const spec = {
      ociVersion: "1.2.0",
      root: { path: "rootfs" },
      hostname: "box",
      process: {
        user: { uid: 0, gid: 0 },
        args: [...args],
        env: ["PATH=/bin"],
        cwd: "/",
        noNewPrivileges: true,
        capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      } as Process,
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
      ] as NonNullable<Spec["mounts"]>,
      linux: {
        cgroupsPath: `/${this.cgroup}/${this.#next++}`,
        namespaces: [{ type: "pid" }, { type: "network" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }],
      } as NonNullable<Spec["linux"]>,
    };
    change(spec);
    return spec;
  }

  options(spec: Spec, id = `c${this.#next++}`): CreateOptions {
    return { id, spec, bundle: this.path, stateRoot: `${this.path}/state`, cgroups: detectCgroups() };
  }

  /** Runs a container to its end. */
  async run(args: readonly string[], change?: Change): Promise<{ code: number; output: string }> {
    await using made = await TestContainer.create(this.options(this.spec(args, change)));
    await made.container.start();
    const code = await codeOf(made.container.init);
    return { code, output: (await made.output).trim() };
  }

  /** Directories of the containers' cgroups in every hierarchy, and state directories: none after each `delete`. */
  leftovers(): string[] {
    const { v1, unified } = detectCgroups();
    const roots = new Set([...v1.values(), ...(unified === undefined ? [] : [unified])]);
    const cgroups = [...roots].map((root) => `${root}/${this.cgroup}`);
    return [...cgroups, `${this.path}/state`].flatMap((path) => children(path).map((name) => `${path}/${name}`));
  }

  [Symbol.dispose](): void {
    const { v1, unified } = detectCgroups();
    const left = this.leftovers();
    for (const root of [...v1.values(), ...(unified === undefined ? [] : [unified])]) {
      if (exists(`${root}/${this.cgroup}/cgroup.procs`)) Deno.removeSync(`${root}/${this.cgroup}`);
    }
    const mounts = mountsBelow(readMountInfo(), this.path);
    Deno.removeSync(this.path, { recursive: true });
    assert.deepEqual({ left, mounts }, { left: [], mounts: [] });
  }
}

function children(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  } catch {
    return [];
  }
}

/** A container that is deleted at the end of its scope, with what it printed. */
export class TestContainer implements AsyncDisposable {
  readonly container: Container;
  readonly #output: Promise<string>;

  constructor(container: Container, output: Promise<string>) {
    this.container = container;
    this.#output = output;
  }

  static async create(options: CreateOptions): Promise<TestContainer> {
    using output = pipe();
    const container = await Container.create({ ...options, stdio: { stdout: output.write, stderr: output.write } });
    return new TestContainer(container, readAll(output));
  }

  /** Everything that it printed until its end. */
  get output(): Promise<string> {
    return this.#output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.container.delete({ force: true });
    await this.#output;
  }
}

/** Reads a pipe to its end. The writing end is closed here. */
export async function readAll(pipe: Pipe): Promise<string> {
  pipe.write[Symbol.dispose]();
  const chunks = [];
  for await (const chunk of readableStream(pipe.read.dup())) chunks.push(chunk);
  return new TextDecoder().decode(await new Blob(chunks).arrayBuffer());
}

export async function codeOf(process: ContainerProcess | undefined): Promise<number> {
  return exitCode(await process!.wait());
}
