/** Pods through Kubernetes' interface, as a kubelet drives it. @module */
import assert from "node:assert/strict";
import { errorChain } from "../../src/base/error.ts";
import { Containerd, type ContainerdOptions, releases } from "./containerd.ts";
import { Cri, type Message } from "./cri.ts";
import { IMAGE } from "./image.ts";
import { ForwardStream, ProcessStream } from "./cri_stream.ts";
import { BRIDGE, CGROUP_PARENT, HANDLER } from "./pod_settings.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";
import { hierarchies } from "./host.ts";

/** A machine that emulates another is slow. */
const EXEC_SECONDS = 30;

/** The release that speaks Kubernetes' interface in these tests; undefined if it, or a network plugin, is missing. */
export function podRelease(): ContainerdOptions["release"] | undefined {
  return podReleases().find(({ version }) => version.startsWith("1."));
}

/** All releases, none if a network plugin is missing. */
export function podReleases(): readonly ContainerdOptions["release"][] {
  const hasPlugins = [...Deno.readDirSync("/usr/lib")].some(({ name }) => name === "cni");
  return hasPlugins ? releases() : [];
}

/** Program of a container that is there for others, and a container's states by number. */
export const SLEEP = "echo ready; exec sleep 1000000";
export const STATE = { created: 0, running: 1, exited: 2 } as const;

/** A containerd with pods. Disposing it ends it and removes the bridge; its pods must be gone. */
export class PodNode implements AsyncDisposable {
  readonly containerd: Containerd;
  readonly cri: Cri;
  readonly #pods: Pod[] = [];

  constructor(containerd: Containerd) {
    this.containerd = containerd;
    this.cri = new Cri(`${containerd.directory}/c.sock`);
  }

  /** @param options.release Default: {@linkcode podRelease}. */
  static async start(options: Partial<ContainerdOptions> = {}): Promise<PodNode> {
    return new PodNode(await Containerd.start({ release: podRelease()!, pods: true, ...options }));
  }

  /** Runs a pod. @param change Of its configuration. @param options.handler Default: ours. */
  async pod(name: string, change: Message = {}, { handler = HANDLER } = {}): Promise<Pod> {
    const { linux = {}, ...rest } = change;
    const config = {
      metadata: { name, uid: crypto.randomUUID(), namespace: "default", attempt: 0 },
      hostname: name,
      log_directory: `${this.containerd.directory}/logs-${name}`,
      ...rest,
      linux: { cgroup_parent: CGROUP_PARENT, ...linux },
    };
    await Deno.mkdir(config.log_directory, { recursive: true });
    const { pod_sandbox_id } = await this.cri.call("RunPodSandbox", { config, runtime_handler: handler });
    this.containerd.adopt(pod_sandbox_id);
    const pod = new Pod(this.cri, { id: pod_sandbox_id, config });
    this.#pods.push(pod);
    return pod;
  }

  /** Kills containerd and starts it anew. @param meanwhile What happens while there is none. */
  async restart(meanwhile?: () => void): Promise<void> {
    await this.containerd.restart(meanwhile);
    await until(() =>
      this.cri.call("PodSandboxStatus", {}).then(() => true, (error) => !/not initialized/.test(error))
    );
  }

  /** File of the pod's network namespace on the host. */
  async netnsOf(pod: Pod): Promise<string> {
    const { Spec } = JSON.parse(await this.containerd.must("containers", "info", pod.id));
    return Spec.linux.namespaces.find(({ type }: { type: string }) => type === "network").path;
  }

  /** As {@linkcode Containerd.remains}, with what pods have besides. */
  async remains(): Promise<readonly string[]> {
    const places = [`/sys/class/net/${BRIDGE}/brif`, ...hierarchies().map((group) => `${group}${CGROUP_PARENT}`)];
    const left = places.flatMap((place) => directoriesIn(place).map((name) => `${place}/${name}`));
    return [...await this.containerd.remains(), ...left];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Those of a test that failed; of the others nothing is left.
    for (const pod of this.#pods) await pod[Symbol.asyncDispose]().catch(() => {});
    this.cri[Symbol.dispose]();
    await this.containerd[Symbol.asyncDispose]();
    await this.containerd.run(["ip", "link", "delete", BRIDGE]);
    for (const group of hierarchies()) await this.containerd.run(["rmdir", `${group}${CGROUP_PARENT}`]);
  }
}

function directoriesIn(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].filter(({ isFile }) => !isFile).map(({ name }) => name);
  } catch {
    return [];
  }
}

/** One pod. Disposing it stops and removes it. */
export class Pod implements AsyncDisposable {
  readonly id: string;
  /** Containers that were created, in order. */
  readonly containers: PodContainer[] = [];
  readonly #cri: Cri;
  readonly #config: Message;

  constructor(cri: Cri, { id, config }: { id: string; config: Message }) {
    this.#cri = cri;
    this.id = id;
    this.#config = config;
  }

  /** Addresses of the pod, IPv4 first. */
  async addresses(): Promise<string[]> {
    const { status } = await this.#cri.call("PodSandboxStatus", { pod_sandbox_id: this.id });
    return [status.network.ip, ...status.network.additional_ips.map(({ ip }: { ip: string }) => ip)];
  }

  /** Whether the engine takes it for alive. */
  async isReady(): Promise<boolean> {
    const { status } = await this.#cri.call("PodSandboxStatus", { pod_sandbox_id: this.id });
    return status.state === 0;
  }

  /** Starts a container that runs a shell script. @param change Of its configuration. */
  async run(name: string, script: string, change: Message = {}): Promise<PodContainer> {
    const container = await this.create(name, script, change);
    await container.start();
    return container;
  }

  /** As {@linkcode run}, but it does not run yet. */
  async create(name: string, script: string, change: Message = {}): Promise<PodContainer> {
    const config = {
      metadata: { name, attempt: 0 },
      image: { image: IMAGE },
      command: ["/bin/sh", "-c", script],
      log_path: `${name}.log`,
      ...change,
    };
    const request = { pod_sandbox_id: this.id, config, sandbox_config: this.#config };
    const { container_id } = await this.#cri.call("CreateContainer", request);
    const log = `${this.#config.log_directory}/${name}.log`;
    const container = new PodContainer(this.#cri, { id: container_id, log });
    this.containers.push(container);
    return container;
  }

  /** A connection to a port of the pod, as `kubectl port-forward` makes one. */
  async forward(port: number): Promise<ForwardStream> {
    const { url } = await this.#cri.call("PortForward", { pod_sandbox_id: this.id, port: [port] });
    return await ForwardStream.open(url, port);
  }

  async stop(): Promise<void> {
    await this.#cri.call("StopPodSandbox", { pod_sandbox_id: this.id });
  }

  async remove(): Promise<void> {
    await this.#cri.call("RemovePodSandbox", { pod_sandbox_id: this.id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.remove();
  }
}

/** One container of a pod. */
export class PodContainer {
  readonly id: string;
  readonly #cri: Cri;
  readonly #log: string;

  constructor(cri: Cri, { id, log }: { id: string; log: string }) {
    this.#cri = cri;
    this.id = id;
    this.#log = log;
  }

  /** Runs a shell script in it, which must succeed. @returns Its output. */
  async exec(script: string): Promise<string> {
    const { status, stdout, stderr } = await this.tryExec(script);
    assert.equal(status, 0, `${script}: ${stdout}${stderr}`);
    return stdout;
  }

  async tryExec(script: string): Promise<{ status: number; stdout: string; stderr: string }> {
    const cmd = ["/bin/sh", "-c", script];
    const answer = await this.call("ExecSync", { cmd, timeout: EXEC_SECONDS });
    const [stdout = "", stderr = ""] = [answer.stdout, answer.stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { status: answer.exit_code, stdout, stderr };
  }

  /** Runs a shell script in it, its streams connected. */
  async interact(script: string, { tty = false, stdin = true } = {}): Promise<ProcessStream> {
    const request = { cmd: ["/bin/sh", "-c", script], tty, stdin, stdout: true, stderr: !tty };
    return await ProcessStream.open((await this.call("Exec", request)).url);
  }

  /** Connects to its first process. */
  async attach({ tty = false, stdin = true } = {}): Promise<ProcessStream> {
    return await ProcessStream.open((await this.call("Attach", { tty, stdin, stdout: true, stderr: !tty })).url);
  }

  /** Lines that it wrote, without the time of each. */
  log(): string[] {
    const lines = Deno.readTextFileSync(this.#log).split("\n").filter((line) => line !== "");
    return lines.map((line) => line.split(" ").slice(1).join(" "));
  }

  async status(): Promise<{ state: number; exit_code: number; reason: string }> {
    return (await this.call("ContainerStatus", {})).status;
  }

  async start(): Promise<void> {
    await this.call("StartContainer", {});
  }

  async stop(timeout = 0): Promise<void> {
    await this.call("StopContainer", { timeout });
  }

  async remove(): Promise<void> {
    await this.call("RemoveContainer", {});
  }

  async call(method: string, request: Message): Promise<Message> {
    return await this.#cri.call(method, { container_id: this.id, ...request });
  }
}

/** One node for all steps; whatever they leave behind fails the test. */
export function pods(
  name: string,
  body: (node: PodNode, test: Deno.TestContext) => Promise<void>,
  options: Parameters<typeof PodNode.start>[0] = {},
): void {
  const version = options.release === undefined ? "" : ` of containerd ${options.release.version}`;
  const test = `CRI${version}: ${name}`;
  Deno.test({
    name: test,
    ignore: leftOut({ name: test }, podRelease() === undefined && "containerd 1.6 or network plugins are missing"),
    // The gRPC library and the commands keep timers and pipes of their own; what matters is in left().
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(test) {
      try {
        await using node = await PodNode.start(options);
        await body(node, test);
        const clean = async () => (await node.remains()).length === 0;
        await until(clean).catch(async () => assert.deepEqual(await node.remains(), []));
      } catch (error) {
        // Deno shows only the last of the errors that disposals suppress.
        throw new Error(errorChain(error), { cause: error });
      }
    },
  });
}

/** As {@linkcode pods}, on each release of containerd that this machine has. */
export function podsOnAll(name: string, body: Parameters<typeof pods>[1]): void {
  for (const release of podReleases()) pods(name, body, { release });
}
