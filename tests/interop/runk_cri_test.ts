/** runk under Kubernetes' interface of Debian's containerd, with `BinaryName` as its documentation has it. Needs root. */
import assert from "node:assert/strict";
import { Cri } from "./cri.ts";
import { IMAGE, writeImage } from "./image.ts";
import { eventually, isInstalled, must, removeCgroup, run, RUNK } from "./runk.ts";

const PAUSE = "localhost/pause:1";

/** A containerd with its CRI plugin and both images. Disposing it ends it; its pods must be gone. */
class Node implements AsyncDisposable {
  readonly directory: string;
  readonly socket: string;
  readonly #daemon: Deno.ChildProcess;

  constructor(directory: string) {
    this.directory = directory;
    this.socket = `${directory}/c.sock`;
    Deno.writeTextFileSync(`${directory}/config.toml`, settings(directory));
    this.#daemon = new Deno.Command("/bin/sh", {
      args: ["-c", `exec containerd --config ${directory}/config.toml >${directory}/log 2>&1`],
      stdin: "null",
    }).spawn();
  }

  static async start(): Promise<Node> {
    const node = new Node(await Deno.makeTempDir({ prefix: "runk-cri-" }));
    await eventually(async () => (await run(node.#ctr("version"))).status === 0);
    for (const image of [{ name: IMAGE }, { name: PAUSE, command: ["/bin/sleep", "1000000"] }]) {
      await writeImage(`${node.directory}/image.tar`, image);
      await must(node.#ctr("images", "import", `${node.directory}/image.tar`));
    }
    return node;
  }

  #ctr(...args: readonly string[]): string[] {
    return ["ctr", "--address", this.socket, "--namespace", "k8s.io", ...args];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#daemon.kill("SIGTERM");
    await this.#daemon.status;
    await removeCgroup("runk-cri");
    await must(["rm", "-rf", this.directory]);
  }
}

function settings(directory: string): string {
  const cri = `plugins."io.containerd.grpc.v1.cri"`;
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
address = "${directory}/c.sock"
[${cri}]
sandbox_image = "${PAUSE}"
restrict_oom_score_adj = true
disable_tcp_service = true
stream_server_address = "127.0.0.1"
[${cri}.containerd]
default_runtime_name = "runk"
[${cri}.containerd.runtimes.runk]
runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runk.options]
BinaryName = "${RUNK}"
`;
}

/** A pod in the node's network, so that no network plugin is needed. */
function podConfig(directory: string) {
  const OF_THE_NODE = 2;
  return {
    metadata: { name: "pod", uid: crypto.randomUUID(), namespace: "default", attempt: 0 },
    log_directory: `${directory}/logs`,
    linux: { cgroup_parent: "/runk-cri", security_context: { namespace_options: { network: OF_THE_NODE } } },
  };
}

interface Pod {
  pod_sandbox_id: string;
  config: ReturnType<typeof podConfig>;
}

/** @returns The id of a container that says hello and goes on until SIGTERM. */
async function startContainer(cri: Cri, { pod_sandbox_id, config }: Pod, name: string): Promise<string> {
  const script = `echo hello from ${name}; trap 'exit 7' TERM; while :; do sleep 0.1; done`;
  const container = {
    metadata: { name, attempt: 0 },
    image: { image: IMAGE },
    command: ["/bin/sh", "-c", script],
    log_path: `${name}.log`,
  };
  const request = { pod_sandbox_id, config: container, sandbox_config: config };
  const { container_id } = await cri.call("CreateContainer", request);
  await cri.call("StartContainer", { container_id });
  return container_id;
}

const NAMES = ["first", "second"];

Deno.test({
  name: "runk under CRI: a pod with two containers, exec, logs, stop and remove",
  ignore: !isInstalled("/usr/bin/containerd"),
  // The gRPC library keeps timers of its own for a while.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using node = await Node.start();
    using cri = new Cri(node.socket);
    const config = podConfig(node.directory);
    await Deno.mkdir(config.log_directory);
    const { pod_sandbox_id } = await cri.call("RunPodSandbox", { config });
    try {
      const ids: string[] = [];
      for (const name of NAMES) ids.push(await startContainer(cri, { pod_sandbox_id, config }, name));
      for (const [index, container_id] of ids.entries()) {
        const cmd = ["/bin/sh", "-c", `echo in; echo err >&2; exit ${index}`];
        const answer = await cri.call("ExecSync", { container_id, cmd, timeout: 30 });
        const text = [answer.stdout, answer.stderr].map((bytes) => new TextDecoder().decode(bytes));
        assert.deepEqual([answer.exit_code, ...text], [index, "in\n", "err\n"]);
      }
      const log = (name: string) => Deno.readTextFileSync(`${config.log_directory}/${name}.log`);
      for (const name of NAMES) await eventually(() => log(name).endsWith(`stdout F hello from ${name}\n`));
      for (const container_id of ids) {
        await cri.call("StopContainer", { container_id, timeout: 10 });
        await cri.call("RemoveContainer", { container_id });
      }
    } finally {
      await cri.call("StopPodSandbox", { pod_sandbox_id });
      await cri.call("RemovePodSandbox", { pod_sandbox_id });
    }
  },
});
