/** A shim's process between a hostile agent and a containerd of the test's own. @module */
import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import { createLogger } from "../../src/base/log.ts";
import { Fd, O_NONBLOCK, O_RDWR } from "../../src/linux/io/fd.ts";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { readSome } from "../../src/linux/io/poll.ts";
import { Events } from "../../src/proto/events_service_pb.ts";
import { Task } from "../../src/proto/task_v2_pb.ts";
import { dial, listen } from "../../src/rpc/transport/address.ts";
import { createTtrpcTransport, type TtrpcTransport } from "../../src/rpc/ttrpc/client.ts";
import { defineService, serveTtrpc } from "../../src/rpc/ttrpc/server.ts";
import { type AgentMethods, FakeAgent } from "./fake_agent.ts";
import { CONFIGURATION, NO_OPTIONS, OWN_NAMESPACES } from "./fake_shim.ts";
import { RawAgent, type RawAnswer } from "./raw_agent.ts";

const PROGRAM = new URL("./shim_with_agent.ts", import.meta.url).pathname;
const quiet = createLogger({ sink: () => {} });

export interface HostileOptions {
  /** Methods that lie, in place of honest ones; or the bytes of each answer. */
  agent: AgentMethods | RawAnswer;
  /** How long containerd takes for each event, in milliseconds. */
  eventMs?: number;
  /** Nobody reads the log until the end. */
  logReader?: "none";
}

/** Disposing it ends all of them. */
export class HostileShim implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "kata-hostile-" });
  readonly topics: string[] = [];
  readonly events: Any[] = [];
  readonly logLines: string[] = [];
  readonly #stack = new AsyncDisposableStack();
  #child: Deno.ChildProcess | undefined;
  #tasks: Client<typeof Task> | undefined;

  static async start(options: HostileOptions): Promise<HostileShim> {
    const shim = new HostileShim();
    try {
      await shim.#start(options);
      return shim;
    } catch (error) {
      await shim[Symbol.asyncDispose]();
      throw error;
    }
  }

  get tasks(): Client<typeof Task> {
    return this.#tasks!;
  }

  /** Creates and starts container `c1`. */
  async run(args: readonly string[]): Promise<void> {
    await this.create(args);
    await this.tasks.start({ id: "c1" });
  }

  /** @param options Its cpuset, and how long to wait for the answer. */
  async create(args: readonly string[], options: { cpus?: string; timeoutMs?: number } = {}): Promise<void> {
    const { cpus, timeoutMs = 60_000 } = options;
    const bundle = `${this.directory}/bundle`;
    Deno.mkdirSync(`${bundle}/rootfs`, { recursive: true });
    const process = { args, cwd: "/", user: { uid: 0, gid: 0 } };
    const namespaces = OWN_NAMESPACES;
    const linux = { namespaces, resources: { cpu: { ...(cpus !== undefined && { cpus }) } } };
    Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify({ ociVersion: "1.2.0", process, linux }));
    await this.tasks.create({ id: "c1", bundle, ...NO_OPTIONS }, { timeoutMs });
  }

  /** Adds and starts a process that ends at once. */
  async exec(execId: string): Promise<void> {
    const process = { args: ["exit", "0"], cwd: "/", user: { uid: 0, gid: 0 } };
    const spec = create(AnySchema, {
      typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
      value: new TextEncoder().encode(JSON.stringify(process)),
    });
    await this.tasks.exec({ id: "c1", execId, spec });
    await this.tasks.start({ id: "c1", execId });
  }

  /** The most memory that the shim's process has had, in MiB. */
  peakMiB(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#child!.pid}/status`);
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1024;
  }

  /** Waits until containerd was told of `topic`. */
  async heard(topic: string, ms = 20_000): Promise<void> {
    for (const end = performance.now() + ms; !this.topics.includes(topic);) {
      if (performance.now() > end) throw new Error(`containerd was not told of ${topic} within ${ms} ms`);
      await pause(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    const mounted = readMountInfo().map(({ mountPoint }) => mountPoint).filter((path) =>
      path.startsWith(this.directory)
    );
    for (const path of mounted.reverse()) await new Deno.Command("umount", { args: ["-l", path] }).output();
    await Deno.remove(this.directory, { recursive: true });
  }

  async #start({ agent, eventMs = 0, logReader }: HostileOptions): Promise<void> {
    const { directory } = this;
    Deno.writeTextFileSync(`${directory}/configuration.toml`, CONFIGURATION);
    await new Deno.Command("mkfifo", { args: [`${directory}/log`] }).output();
    const { address } = this.#stack.use(
      typeof agent === "function" ? new RawAgent(directory, agent) : new FakeAgent(directory, agent),
    );
    this.#serveEvents(eventMs);
    this.#child = this.#spawn(address);
    if (logReader === undefined) this.#readLog();
    const transport = this.#stack.use(await this.#dial());
    this.#tasks = createClient(Task, transport);
  }

  #spawn(agent: string): Deno.ChildProcess {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--unstable-vsock", "--no-check", PROGRAM, this.directory, agent],
      env: { KATA_CONF_FILE: `${this.directory}/configuration.toml` },
      stdin: "null",
    }).spawn();
    this.#stack.defer(async () => {
      child.kill("SIGKILL");
      await child.status;
    });
    return child;
  }

  async #dial(): Promise<TtrpcTransport> {
    for (const end = performance.now() + 20_000;;) {
      try {
        return createTtrpcTransport(await dial(`unix://${this.directory}/shim.sock`), { peer: "the shim" });
      } catch (error) {
        if (performance.now() > end) throw error;
        await pause(50);
      }
    }
  }

  #serveEvents(eventMs: number): void {
    const stop = new AbortController();
    const forward = defineService(Events, {
      forward: async ({ envelope }) => {
        if (eventMs > 0) await pause(eventMs);
        this.topics.push(envelope!.topic);
        this.events.push(envelope!.event!);
        return {};
      },
    });
    const serving = serveTtrpc(listen(`unix://${this.directory}/containerd.sock`), [forward], {
      signal: stop.signal,
      log: quiet,
      drainMs: 0,
    });
    this.#stack.defer(async () => {
      stop.abort();
      await serving;
    });
  }

  #readLog(): void {
    // Open for writing too, so that it has no end.
    const fd = this.#stack.use(Fd.open(`${this.directory}/log`, O_RDWR | O_NONBLOCK));
    const stop = new AbortController();
    const reading = this.#collect(fd, stop.signal).catch(() => {});
    this.#stack.defer(async () => {
      stop.abort();
      await reading;
    });
  }

  async #collect(fd: Fd, signal: AbortSignal): Promise<void> {
    const buffer = new Uint8Array(64 << 10);
    const decoder = new TextDecoder();
    for (let rest = "";;) {
      const count = await readSome(fd, buffer, { signal });
      const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
      rest = lines.pop()!;
      this.logLines.push(...lines);
    }
  }
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
