/**
 * Harness that the agent's tests share: an agent on a unix socket, in mount, IPC, UTS and network namespaces of its own
 * with a fresh /run, driven through the project's own client; and containers made of busybox.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { specToProto } from "../../src/agent_api/spec_codec.ts";
import type { Process, Spec } from "../../src/oci/spec/spec.ts";
import { AgentService, type CreateContainerRequestSchema } from "../../src/proto/agent_pb.ts";
import { Health } from "../../src/proto/health_pb.ts";
import { dial } from "../../src/rpc/transport/address.ts";
import { createTtrpcTransport, type TtrpcTransport } from "../../src/rpc/ttrpc/client.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const START_MS = 20_000;
const APPLETS = [
  "sh",
  "cat",
  "echo",
  "sleep",
  "true",
  "false",
  "id",
  "ps",
  "hostname",
  "ls",
  "env",
  "md5sum",
  "tty",
] as const;
const MORE_APPLETS = ["stty", "kill", "dd", "head", "seq", "readlink", "wc", "mount", "nproc", "yes", "touch", "ipcs"];

export interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

export interface ProcessName {
  containerId: string;
  execId: string;
}

/** An agent in namespaces of its own. Disposing it ends it, and fails the test if that leaves anything behind. */
export class AgentBox implements AsyncDisposable {
  readonly agent: Client<typeof AgentService>;
  readonly health: Client<typeof Health>;
  /** Lines that the agent logged. */
  readonly log: string[] = [];

  readonly directory: string;
  readonly process: Deno.ChildProcess;
  readonly transport: TtrpcTransport;
  readonly #logging: Promise<void>;

  constructor({ directory, process, transport }: Pick<AgentBox, "directory" | "process" | "transport">) {
    this.directory = directory;
    this.process = process;
    this.transport = transport;
    this.#logging = collectLines(process.stdout, this.log);
    this.agent = createClient(AgentService, transport);
    this.health = createClient(Health, transport);
  }

  /** @param options `asInit`: as PID 1 of a PID namespace. */
  static async start({ asInit = false } = {}): Promise<AgentBox> {
    const directory = Deno.makeTempDirSync({ prefix: "kata-agent-test-" });
    makeRootfs(`${directory}/rootfs`);
    const address = `unix://${directory}/agent.sock`;
    // Its sysfs is the one of the machine that tests: nothing in it is to be changed.
    const agent = `mount -t tmpfs -o mode=755 run /run && mount -o remount,bind,ro /sys && exec "$@"`;
    const deno = [Deno.execPath(), "run", "--quiet", "-A", "--unstable-vsock", MAIN, "kata-agent"];
    const process = new Deno.Command("unshare", {
      args: [
        ...(asInit ? ["--pid", "--fork", "--mount-proc"] : []),
        "-m",
        "-i",
        "-u",
        "-n",
        "--propagation",
        "private",
        "sh",
        "-c",
        agent,
        "sh",
        ...deno,
        "--server-addr",
        address,
      ],
      env: { KATA_ARGV0: "kata", KATA_AGENT_LOG_LEVEL: Deno.env.get("KATA_TEST_LOG") ?? "info" },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const duplex = await dialUntil(address, process).catch(async (error) => {
      await process.stdout.cancel();
      await endProcess(process, "SIGKILL");
      await Deno.remove(directory, { recursive: true });
      throw error;
    });
    const transport = createTtrpcTransport(duplex, { peer: "the agent under test" });
    return new AgentBox({ directory, process, transport });
  }

  get pid(): number {
    return this.process.pid;
  }

  /** A spec that runs `args` on the busybox root file system. */
  spec(
    args: readonly string[],
    { process, ...more }: Partial<Omit<Spec, "process">> & { process?: Partial<Process> } = {},
  ): Spec {
    return {
      ociVersion: "1.2.0",
      root: { path: `${this.directory}/rootfs` },
      process: processOf(args, process),
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
        { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
      ],
      ...more,
      linux: {
        cgroupsPath: `/kata-agent-test-${this.pid}-${crypto.randomUUID().slice(0, 8)}`,
        namespaces: [{ type: "mount" }, { type: "ipc" }, { type: "uts" }, { type: "pid" }],
        ...more.linux,
      },
    };
  }

  async create(
    containerId: string,
    spec: Spec,
    more: MessageInitShape<typeof CreateContainerRequestSchema> = {},
  ): Promise<void> {
    await this.agent.createContainer({ ...more, containerId, OCI: specToProto(spec) });
  }

  /** Creates and starts a container. */
  async start(containerId: string, spec: Spec): Promise<void> {
    await this.create(containerId, spec);
    await this.agent.startContainer({ containerId });
  }

  /** Creates, starts, reads to the end, waits for and removes a container. */
  async run(containerId: string, spec: Spec): Promise<Ended> {
    await this.start(containerId, spec);
    const ended = await this.end({ containerId, execId: "" });
    await this.agent.removeContainer({ containerId });
    return ended;
  }

  /** Reads both outputs to their ends and waits. */
  async end(name: ProcessName): Promise<Ended> {
    const [stdout, stderr, { status }] = await Promise.all([
      this.readAll("readStdout", name),
      this.readAll("readStderr", name),
      this.agent.waitProcess(name),
    ]);
    return { status, stdout: decode(stdout), stderr: decode(stderr) };
  }

  async readAll(stream: "readStdout" | "readStderr", name: ProcessName): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (;;) {
      const { data } = await this.agent[stream]({ ...name, len: 32 * 1024 });
      if (data.length === 0) return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
      parts.push(data);
    }
  }

  /** Reads output until it holds `text`. */
  async readUntil(name: ProcessName, text: string): Promise<string> {
    let seen = "";
    while (!seen.includes(text)) {
      const { data } = await this.agent.readStdout({ ...name, len: 4096 });
      assert.ok(data.length > 0, `the output ended before ${JSON.stringify(text)}: ${JSON.stringify(seen)}`);
      seen += decode(data);
    }
    return seen;
  }

  /** Things that the agent holds: open descriptors, children, mounts. */
  usage(): { fds: number; children: number; mounts: string[] } {
    const children = Deno.readTextFileSync(`/proc/${this.pid}/task/${this.pid}/children`).trim();
    return {
      fds: [...Deno.readDirSync(`/proc/${this.pid}/fd`)].length,
      children: children === "" ? 0 : children.split(" ").length,
      // Others are copies of the host's, which come and go as others use the host.
      mounts: readMountInfo(`/proc/${this.pid}/mountinfo`).map(({ mountPoint }) => mountPoint)
        .filter((path) => path.startsWith("/run") || path.startsWith("/etc") || path.startsWith(this.directory)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport[Symbol.dispose]();
    await this.transport.closed;
    await endProcess(this.process, "SIGTERM");
    await this.#logging;
    await Deno.remove(this.directory, { recursive: true });
  }
}

async function endProcess(process: Deno.ChildProcess, signal: Deno.Signal): Promise<void> {
  try {
    process.kill(signal);
  } catch {
    // It has ended.
  }
  await process.status;
}

export function processOf(args: readonly string[], more: Partial<Process> = {}): Process {
  return { user: { uid: 0, gid: 0 }, args: [...args], env: ["PATH=/bin"], cwd: "/", ...more };
}

export function decode(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

function makeRootfs(path: string): void {
  for (const name of ["bin", "proc", "dev", "tmp", "etc", "sys"]) {
    Deno.mkdirSync(`${path}/${name}`, { recursive: true });
  }
  Deno.copyFileSync("/bin/busybox", `${path}/bin/busybox`);
  for (const applet of [...APPLETS, ...MORE_APPLETS]) Deno.symlinkSync("busybox", `${path}/bin/${applet}`);
}

async function dialUntil(address: string, process: Deno.ChildProcess): Promise<Awaited<ReturnType<typeof dial>>> {
  const until = Date.now() + START_MS;
  let ended: Deno.CommandStatus | undefined;
  process.status.then((status) => ended = status);
  for (;;) {
    if (ended !== undefined) throw new Error(`The agent ended at once: ${JSON.stringify(ended)}`);
    try {
      return await dial(address);
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function collectLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, lines: string[]): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  }
}
