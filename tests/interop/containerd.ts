/**
 * A containerd of our own, in directories of its own, that runs containers through our shim: the harness of the interop
 * tests. Which containerd: Debian's (1.6), or the one of Debian sid (2.1) that `scripts/test` unpacks.
 *
 * @module
 */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { socketAddress } from "../../src/shim/bootstrap.ts";
import { commandOf, hierarchies, list } from "./host.ts";
import { IMAGE, type ImageOptions, writeImage } from "./image.ts";
import { PAUSE, podSettings } from "./pod_settings.ts";
import { shareDaemon } from "../support/share_daemon.ts";
import { until } from "../support/wait.ts";

export { processesOf } from "./host.ts";

/** Where ctr makes the fifos of the tasks that it starts, wherever containerd keeps its state. */
const FIFOS = "/run/containerd/fifo";
const REPO = new URL("../../", import.meta.url).pathname;
export const GUEST = Deno.env.get("KATA_GUEST") ?? `${REPO}dist/guest`;
export const RUNTIME = "io.containerd.kata.v2";

export interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

/** Where a release of containerd has its programs. */
export interface Release {
  version: string;
  /** Directory with `containerd` and `ctr`. */
  bin: string;
}

/** The releases that this machine has. */
export function releases(): readonly Release[] {
  const cache = Deno.env.get("KATA_CACHE") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/kata`;
  const candidates = [
    { version: "1.6", bin: "/usr/bin" },
    {
      version: "2.1",
      bin: `${cache}/unpacked/sid-${Deno.build.arch === "x86_64" ? "amd64" : "arm64"}/containerd/usr/bin`,
    },
  ];
  return candidates.filter(({ bin }) => exists(`${bin}/containerd`));
}

export interface ContainerdOptions {
  release: Release;
  /** Changes the shim's configuration. */
  configure?: (toml: string) => string;
  /** Lines of containerd's own configuration. @param directory Of this containerd, which is there. */
  plugins?: (directory: string) => string;
  /** Serves Kubernetes' interface: see `pod_settings.ts`. */
  pods?: boolean;
  /** As {@linkcode PodSettings.annotations}. */
  podAnnotations?: readonly string[];
  /** Besides its usual environment, which shims inherit. */
  env?: Readonly<Record<string, string>>;
}

/** A running containerd with the test image. Disposing it ends it; its containers must be gone. */
export class Containerd implements AsyncDisposable {
  readonly directory: string;
  readonly #release: Release;
  readonly #namespace: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #ids: string[] = [];
  #process: Deno.ChildProcess | undefined;

  constructor(directory: string, { release, pods, env = {} }: ContainerdOptions) {
    this.directory = directory;
    const path = `${directory}/bin:${Deno.env.get("PATH")}`;
    this.#env = { PATH: path, KATA_CONF_FILE: `${directory}/configuration.toml`, ...env };
    this.#release = release;
    this.#namespace = pods ? "k8s.io" : "default";
  }

  static async start(options: ContainerdOptions): Promise<Containerd> {
    const { release, configure = (toml) => toml, pods = false, podAnnotations, plugins } = options;
    const containerd = new Containerd(await Deno.makeTempDir({ prefix: "kata-interop-" }), options);
    const { directory } = containerd;
    await Deno.mkdir(`${directory}/bin`);
    await Deno.writeTextFile(`${directory}/bin/containerd-shim-kata-v2`, shimScript(directory), { mode: 0o755 });
    await Deno.writeTextFile(`${directory}/configuration.toml`, configure(configuration()));
    const annotations = podAnnotations && { annotations: podAnnotations };
    const settingsOfPods = { runtime: RUNTIME, version: release.version, ...annotations };
    const more = pods ? await podSettings(directory, settingsOfPods) : "";
    await Deno.writeTextFile(
      `${directory}/config.toml`,
      settings(directory, { release, pods }) + more + (plugins?.(directory) ?? ""),
    );
    await containerd.#spawn();
    await containerd.import({ name: IMAGE });
    if (pods) await containerd.import({ name: PAUSE, command: ["/bin/sleep", "1000000"] });
    return containerd;
  }

  /** Makes an image and takes it in. */
  async import(image: ImageOptions): Promise<void> {
    await writeImage(`${this.directory}/image.tar`, image);
    await this.must("images", "import", `${this.directory}/image.tar`);
  }

  get pid(): number {
    assert.ok(this.#process !== undefined);
    return this.#process.pid;
  }

  /** An id that nobody else on this machine uses, so that what it leaves can be told from other runs' things. */
  id(name: string): string {
    const id = `${name}-${crypto.randomUUID().slice(0, 6)}`;
    this.#ids.push(id);
    return id;
  }

  /** Counts a sandbox that another client of containerd has made among ours. */
  adopt(id: string): void {
    this.#ids.push(id);
  }

  /** Remains of this containerd's sandboxes on the host, but for ctr's own fifos; nothing once all are gone. */
  async remains(): Promise<readonly string[]> {
    const names = new RegExp([this.directory, ...this.#ids].map(RegExp.escape).join("|"));
    // Shims name containerd's program too: among their arguments.
    const own = [`${this.#release.bin}/containerd `, `${this.#release.bin}/ctr `, "strace ", "script "];
    const processes = list("/proc").flatMap(commandOf).filter((line) => names.test(line))
      .filter((line) => !own.some((word) => line.startsWith(word)));
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").map((line) => line.split(" ")[4] ?? "");
    const groups = hierarchies().map((root) => `${root}/default`);
    const places = ["/run/kata", "/run/kata-containers/shared/sandboxes", ...groups];
    const files = places.flatMap((path) => list(path).map((name) => `${path}/${name}`));
    return [...processes, ...[...mounts, ...files].filter((path) => names.test(path)), ...await this.#sockets()];
  }

  async #sockets(): Promise<readonly string[]> {
    const shims = this.#ids.map((id) => ({ address: `${this.directory}/c.sock`, namespace: this.#namespace, id }));
    const paths = await Promise.all(shims.map(async (shim) => (await socketAddress(shim)).slice("unix://".length)));
    return paths.filter(exists);
  }

  /** Log of containerd and all shims. */
  log(): string {
    return Deno.readTextFileSync(`${this.directory}/containerd.log`);
  }

  async ctr(...args: readonly string[]): Promise<Result> {
    return await this.run(this.#ctr(args));
  }

  /** As `ctr`, but it must succeed. @returns Its output. */
  async must(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.ctr(...args);
    assert.equal(status, 0, `ctr ${args.join(" ")}: ${stderr}\n${this.log().slice(-3000)}`);
    return stdout;
  }

  /** Runs `ctr run --rm` with our runtime. */
  async runContainer(name: string, command: readonly string[], flags: readonly string[] = []): Promise<Result> {
    return await this.ctr("run", "--rm", "--runtime", RUNTIME, ...flags, IMAGE, this.id(name), ...command);
  }

  /** A container that goes on: `ctr run -d`. Disposing it ends and removes it. */
  async background(command: readonly string[]): Promise<{ id: string } & AsyncDisposable> {
    const id = this.id("bg");
    await this.must("run", "-d", "--runtime", RUNTIME, IMAGE, id, ...command);
    return { id, [Symbol.asyncDispose]: () => this.remove(id) };
  }

  async remove(id: string): Promise<void> {
    await this.ctr("task", "kill", "-s", "KILL", id);
    await until(async () => (await this.ctr("task", "delete", "-f", id)).status === 0 || !(await this.hasTask(id)));
    await this.ctr("containers", "delete", id);
  }

  async hasTask(id: string): Promise<boolean> {
    return (await this.must("task", "ls", "-q")).split("\n").includes(id);
  }

  async taskStatus(id: string): Promise<string | undefined> {
    const lines = (await this.must("task", "ls")).split("\n").map((line) => line.split(/\s+/));
    return lines.find(([name]) => name === id)?.[2];
  }

  /** A ctr whose streams the test has in its hands. */
  spawnCtr(args: readonly string[]): Deno.ChildProcess {
    const [command, ...rest] = this.#ctr(args);
    return new Deno.Command(command!, { args: rest, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  }

  async run([command, ...args]: readonly string[]): Promise<Result> {
    const { code, stdout, stderr } = await new Deno.Command(command!, { args: [...args], stdin: "null" }).output();
    const decoder = new TextDecoder();
    return { status: code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Kills containerd without warning and starts it anew. @param meanwhile What happens while there is none. */
  async restart(meanwhile = () => {}): Promise<void> {
    await this.#end("SIGKILL");
    meanwhile();
    await this.#spawn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGTERM");
    await this.#removeFifos();
    await Deno.remove(this.directory, { recursive: true });
  }

  /** `ctr run -d` leaves its fifos to the `ctr` that deletes the task, and there is none when the task ended by itself. */
  async #removeFifos(): Promise<void> {
    const isOurs = (name: string) => this.#ids.some((id) => name.startsWith(`${id}-std`));
    const ours = list(FIFOS).filter((name) => list(`${FIFOS}/${name}`).some(isOurs));
    for (const name of ours) await Deno.remove(`${FIFOS}/${name}`, { recursive: true });
  }

  /** A line for a shell that runs `ctr`. */
  commandLine(args: string): string {
    return this.#ctr(args.split(" ")).join(" ");
  }

  #ctr(args: readonly string[]): readonly string[] {
    return [
      `${this.#release.bin}/ctr`,
      "--address",
      `${this.directory}/c.sock`,
      "--namespace",
      this.#namespace,
      ...args,
    ];
  }

  async #spawn(): Promise<void> {
    const { directory } = this;
    // A shell keeps the log open for appending, so that a restarted containerd does not begin a new one.
    const script = `exec "$0" --config ${directory}/config.toml >>${directory}/containerd.log 2>&1`;
    this.#process = new Deno.Command("/bin/sh", {
      args: ["-c", script, `${this.#release.bin}/containerd`],
      env: this.#env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await until(async () => (await this.ctr("version")).status === 0);
  }

  async #end(signal: Deno.Signal): Promise<void> {
    this.#process?.kill(signal);
    await this.#process?.status;
    this.#process = undefined;
  }
}

/** The shim from the source tree, as the portable file's head would run it. */
function shimScript(directory: string): string {
  const installed = Deno.env.get("KATA_SHIM");
  if (installed !== undefined) return `#!/bin/sh\nexec ${installed} "$@"\n`;
  const run = `${Deno.execPath()} run -A --unstable-vsock --no-check --cached-only ${REPO}main.ts`;
  return `#!/bin/sh\nKATA_ARGV0=$0 DENO_DIR=\${DENO_DIR:-${denoDir()}} exec ${run} "$@" 2>>${directory}/shim.stderr\n`;
}

function denoDir(): string {
  return Deno.env.get("DENO_DIR") ?? `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/deno`;
}

function configuration(): string {
  return `[hypervisor.qemu]
kernel = "${GUEST}/vmlinux"
initrd = "${GUEST}/initrd.cpio"
image = "${GUEST}/root.erofs"
default_memory = 512
virtio_fs_daemon = "${shareDaemon()}"
`;
}

function settings(directory: string, { release: { version }, pods }: { release: Release; pods: boolean }): string {
  const disabled = version.startsWith("1.")
    ? `[${
      pods ? "" : '"io.containerd.grpc.v1.cri", '
    }"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs"]`
    : pods
    ? "[]"
    : `["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]`;
  return `version = ${version.startsWith("1.") ? 2 : 3}
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ${disabled}
[grpc]
address = "${directory}/c.sock"
[debug]
level = "${Deno.env.get("KATA_TEST_LOG") ?? "info"}"
`;
}
