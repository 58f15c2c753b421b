/**
 * Harness that the black-box tests share: any OCI runtime by its command line (`RUNTIME=runc`), bundles made of
 * busybox, and a spec to change. Nothing here knows which runtime it drives, so that the suite itself is tested on
 * runc.
 *
 * @module
 */
import assert from "node:assert/strict";
import { finish } from "../support/command.ts";
import { until } from "../support/wait.ts";

export const RUNTIME = Deno.env.get("RUNTIME") ?? new URL("../../dist/runk", import.meta.url).pathname;

/**
 * Weight (cpu.weight) of 512 shares. Newer releases of runc and crun convert by a curve, as runk does; Debian's in a
 * straight line.
 */
export const WEIGHT_OF_512_SHARES = /(^|\/)(runc|crun)$/.test(RUNTIME) ? "20" : "59";

const decoder = new TextDecoder();

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CallOptions {
  stdin?: string;
  /** Options before the command, besides `--root`. */
  global?: readonly string[];
  /** Variables besides ours. */
  env?: Record<string, string>;
  /** Files for the descriptors from 3 on. */
  fds?: readonly string[];
  /** Where stdout goes, for a container that writes on after the call. */
  output?: string;
}

/** The parts of config.json that the tests change; the rest is left as `any` JSON on purpose. */
// deno-lint-ignore no-explicit-any
export type Spec = any;

/** A bundle and the runtime's state root, both in a directory of their own that disposing removes. */
export class Box implements AsyncDisposable {
  readonly runtime: string;
  readonly dir = Deno.makeTempDirSync({ prefix: "oci-" });
  readonly root = `${this.dir}/state`;
  readonly rootfs = `${this.dir}/bundle/rootfs`;
  readonly spec: Spec = baseSpec();
  readonly #ids = new Set<string>();

  constructor({ runtime = RUNTIME }: { runtime?: string } = {}) {
    this.runtime = runtime;
    Deno.mkdirSync(this.rootfs, { recursive: true });
    for (const dir of ["bin", "etc", "proc", "sys", "dev", "tmp"]) Deno.mkdirSync(`${this.rootfs}/${dir}`);
    Deno.linkSync(busybox(), `${this.rootfs}/bin/busybox`);
    for (const applet of APPLETS) Deno.symlinkSync("busybox", `${this.rootfs}/bin/${applet}`);
    Deno.writeTextFileSync(
      `${this.rootfs}/etc/passwd`,
      "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    );
    Deno.writeTextFileSync(`${this.rootfs}/etc/group`, "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n");
    this.id();
  }

  /** A container id that nobody else uses; its container is force-deleted at the end. */
  id(): string {
    const id = `t-${crypto.randomUUID().slice(0, 8)}`;
    this.#ids.add(id);
    return id;
  }

  get bundle(): string {
    return `${this.dir}/bundle`;
  }

  sh(script: string): this {
    this.spec.process.args = ["/bin/sh", "-c", script];
    return this;
  }

  save(): void {
    Deno.writeTextFileSync(`${this.bundle}/config.json`, JSON.stringify(this.spec));
  }

  /** A command line of the runtime. */
  words(args: readonly string[]): string[] {
    return [this.runtime, "--root", this.root, ...args];
  }

  /** Runs the runtime with its global `--root`; stdout and stderr are files, as a detached container keeps them open. */
  async call(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    const { stdin = "", global = [], env = {}, fds = [] } = options;
    const name = `${this.dir}/${crypto.randomUUID()}`;
    const { output = `${name}.out` } = options;
    Deno.writeTextFileSync(`${name}.in`, stdin);
    // A shell redirects, because Deno.Command can only hand over pipes, which a container would keep open.
    const more = fds.map((path, index) => `${3 + index}<"${path}"`).join(" ");
    const script = `exec "$@" <"$0.in" >"${output}" 2>"$0.err" ${more}`;
    const { code } = await finish("/bin/sh", {
      args: ["-c", script, name, this.runtime, "--root", this.root, ...global, ...args],
      cwd: this.dir,
      env,
    });
    return { code, stdout: Deno.readTextFileSync(output), stderr: Deno.readTextFileSync(`${name}.err`) };
  }

  /** Like {@linkcode call}, and fails the test unless the runtime succeeds. */
  async ok(...args: string[]): Promise<Result> {
    const result = await this.call(args);
    assert.equal(result.code, 0, `${args.join(" ")}: exit ${result.code}: ${result.stderr}`);
    return result;
  }

  /** `run` in the foreground with the current spec. */
  async run(id = this.id(), options: { stdin?: string } = {}): Promise<Result> {
    this.save();
    return await this.call(["run", "--bundle", this.bundle, id], options);
  }

  /** Output of a shell script that is the container's process and must succeed, without white space around it. */
  async output(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.sh(script).run();
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }

  async state(id: string): Promise<{ status: string; pid: number; [key: string]: unknown }> {
    return JSON.parse((await this.ok("state", id)).stdout);
  }

  /** Polls `state` until the container has that status. */
  async until(id: string, status: string): Promise<void> {
    await until(async () => (await this.state(id)).status === status);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#ids) await this.call(["delete", "--force", id]);
    await Deno.remove(this.dir, { recursive: true });
  }
}

const APPLETS = [
  "awk",
  "cat",
  "chmod",
  "cut",
  "dd",
  "echo",
  "env",
  "grep",
  "head",
  "hostname",
  "id",
  "kill",
  "ls",
  "mkdir",
  "mknod",
  "mount",
  "nproc",
  "ps",
  "pwd",
  "readlink",
  "rm",
  "sh",
  "sleep",
  "sort",
  "stat",
  "stty",
  "sync",
  "test",
  "touch",
  "tr",
  "true",
  "tty",
  "ulimit",
  "umount",
  "uname",
  "wc",
  "yes",
  "false",
  "chroot",
  "date",
  "ln",
  "od",
  "printf",
  "sed",
  "seq",
  "trap",
  "unshare",
  "setsid",
  "nice",
]; // deno-fmt-ignore

let cached: string | undefined;

/** A copy of busybox in the temp directory's file system, so that bundles can hard-link it. */
function busybox(): string {
  if (cached !== undefined) return cached;
  cached = `${Deno.makeTempDirSync({ prefix: "oci-busybox-" })}/busybox`;
  Deno.copyFileSync("/bin/busybox", cached);
  addEventListener("unload", () => Deno.removeSync(cached!.replace(/\/busybox$/, ""), { recursive: true }));
  return cached;
}

const CAPABILITIES = [
  "CAP_AUDIT_WRITE",
  "CAP_KILL",
  "CAP_NET_BIND_SERVICE",
  "CAP_CHOWN",
  "CAP_MKNOD",
  "CAP_SETUID",
  "CAP_SETGID",
];

/** A spec close to what containerd makes: own namespaces but the network, default mounts, masked paths. */
function baseSpec(): Spec {
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["/bin/true"],
      env: ["PATH=/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: false },
    hostname: "box",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
      },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    ],
    linux: {
      cgroupsPath: `/oci-tests/${crypto.randomUUID().slice(0, 8)}`,
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: [{ type: "pid" }, { type: "ipc" }, { type: "uts" }, { type: "mount" }, { type: "network" }],
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/sys/firmware"],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/** Runs the container by a caller that may trace nobody. */
export async function runUntraced(box: Box, id: string = box.id()): Promise<[code: number, output: string]> {
  box.save();
  const script = `exec setpriv --bounding-set=-sys_ptrace "$@" >${box.dir}/out 2>&1`;
  const words = box.words(["run", "--bundle", box.bundle, id]);
  const { code } = await finish("sh", { args: ["-c", script, "sh", ...words] });
  return [code, Deno.readTextFileSync(`${box.dir}/out`)];
}

/** Output of a host command, trimmed. */
export async function host(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await finish(command, { args });
  return decoder.decode(stdout).trim();
}
