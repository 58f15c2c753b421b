/** runk under Kubernetes' interface of Debian's containerd, with `BinaryName` as its documentation has it. Needs root. */
import assert from "node:assert/strict";
import { Cri } from "./cri.ts";
import { type Release, releases } from "./containerd.ts";
import { IMAGE, writeImage } from "./image.ts";
import { BRIDGE, HANDLER, PAUSE, podSettings } from "./pod_settings.ts";
import { must, removeCgroup, run, RUNK } from "./runk.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { until } from "../support/wait.ts";

/** A containerd with its CRI plugin and both images. Disposing it ends it; its pods must be gone. */
class Node implements AsyncDisposable {
  readonly directory: string;
  readonly socket: string;
  readonly #daemon: Deno.ChildProcess;

  /** @param bin Directory of containerd and what it starts. */
  constructor(directory: string, bin: string) {
    this.directory = directory;
    this.socket = `${directory}/c.sock`;
    this.#daemon = new Deno.Command("/bin/sh", {
      args: ["-c", `exec containerd --config ${directory}/config.toml >${directory}/log 2>&1`],
      env: { PATH: `${bin}:${Deno.env.get("PATH")}` },
      stdin: "null",
    }).spawn();
  }

  static async start({ bin, version }: Release): Promise<Node> {
    const directory = await Deno.makeTempDir({ prefix: "runk-cri-" });
    // Users of a user namespace must get to what is in it.
    await Deno.chmod(directory, 0o711);
    await Deno.writeTextFile(`${directory}/config.toml`, await settings(directory, version));
    const node = new Node(directory, bin);
    await until(async () => (await run(node.#ctr("version"))).status === 0);
    await node.#untilServing();
    for (const image of [{ name: IMAGE }, { name: PAUSE, command: ["/bin/sleep", "1000000"] }]) {
      await writeImage(`${node.directory}/image.tar`, image);
      await must(node.#ctr("images", "import", `${node.directory}/image.tar`));
    }
    return node;
  }

  async #untilServing(): Promise<void> {
    using cri = new Cri(this.socket);
    const isServing = () =>
      cri.call("PodSandboxStatus", {}).then(() => true, (error) => !/not initialized|UNIMPL/.test(error));
    await until(isServing);
  }

  #ctr(...args: readonly string[]): string[] {
    return ["ctr", "--address", this.socket, "--namespace", "k8s.io", ...args];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#daemon.kill("SIGTERM");
    await this.#daemon.status;
    await removeCgroup("runk-cri");
    await run(["ip", "link", "delete", BRIDGE]);
    await must(["rm", "-rf", this.directory]);
  }
}

async function settings(directory: string, version: string): Promise<string> {
  const plugin = version.startsWith("1.") ? "io.containerd.grpc.v1.cri" : "io.containerd.cri.v1.runtime";
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
address = "${directory}/c.sock"
${await podSettings(directory, { runtime: "io.containerd.runc.v2", version })}
[plugins."${plugin}".containerd.runtimes.${HANDLER}.options]
BinaryName = "${RUNK}"
`;
}

const NAMESPACE_OF = { thePod: 0, theContainer: 1, theNode: 2 } as const;

/** In the node's network, so that no network plugin is needed. */
const IN_NODE = { network: NAMESPACE_OF.theNode };

const MAPS = [{ host_id: 100_000, container_id: 0, length: 65_536 }];
const WITH_USERS = {
  network: NAMESPACE_OF.thePod,
  pid: NAMESPACE_OF.thePod,
  userns_options: { mode: NAMESPACE_OF.thePod, uids: MAPS, gids: MAPS },
};

function podConfig(directory: string, namespace_options: typeof IN_NODE | typeof WITH_USERS) {
  return {
    metadata: { name: "pod", uid: crypto.randomUUID(), namespace: "default", attempt: 0 },
    log_directory: `${directory}/logs`,
    linux: { cgroup_parent: "/runk-cri", security_context: { namespace_options } },
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
    linux: { security_context: { namespace_options: config.linux.security_context.namespace_options } },
    command: ["/bin/sh", "-c", script],
    log_path: `${name}.log`,
  };
  const request = { pod_sandbox_id, config: container, sandbox_config: config };
  const { container_id } = await cri.call("CreateContainer", request);
  await cri.call("StartContainer", { container_id });
  return container_id;
}

const NAMES = ["first", "second"];

const [OLDER, NEWER] = ["1.", "2."].map((start) => releases().find(({ version }) => version.startsWith(start)));

function criTest(name: string, release: Release | undefined, body: (node: Node, cri: Cri) => Promise<void>): void {
  Deno.test({
    name: `runk under CRI: ${name}`,
    ignore: leftOut(import.meta, release === undefined && "a release of containerd is missing"),
    // The gRPC library keeps timers of its own for a while.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using node = await Node.start(release!);
      using cri = new Cri(node.socket);
      await body(node, cri);
    },
  });
}

/** Runs a pod while `body` needs it. */
async function withPod(
  cri: Cri,
  config: Pod["config"],
  body: (pod: Pod) => Promise<void>,
): Promise<void> {
  await Deno.mkdir(config.log_directory);
  const { pod_sandbox_id } = await cri.call("RunPodSandbox", { config });
  try {
    await body({ pod_sandbox_id, config });
  } finally {
    await cri.call("StopPodSandbox", { pod_sandbox_id });
    await cri.call("RemovePodSandbox", { pod_sandbox_id });
  }
}

async function exec(cri: Cri, container_id: string, script: string): Promise<[number, string, string]> {
  const answer = await cri.call("ExecSync", { container_id, cmd: ["/bin/sh", "-c", script], timeout: 30 });
  const [stdout = "", stderr = ""] = [answer.stdout, answer.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return [answer.exit_code, stdout, stderr];
}

async function stopContainer(cri: Cri, container_id: string): Promise<void> {
  await cri.call("StopContainer", { container_id, timeout: 10 });
  await cri.call("RemoveContainer", { container_id });
}

criTest("a pod with two containers, exec, logs, stop and remove", OLDER, async (node, cri) => {
  await withPod(cri, podConfig(node.directory, IN_NODE), async (pod) => {
    const ids: string[] = [];
    for (const name of NAMES) ids.push(await startContainer(cri, pod, name));
    for (const [index, id] of ids.entries()) {
      assert.deepEqual(await exec(cri, id, `echo in; echo err >&2; exit ${index}`), [index, "in\n", "err\n"]);
    }
    const log = (name: string) => Deno.readTextFileSync(`${pod.config.log_directory}/${name}.log`);
    for (const name of NAMES) await until(() => log(name).endsWith(`stdout F hello from ${name}\n`));
    for (const id of ids) await stopContainer(cri, id);
  });
});

criTest("a pod with users of its own, whose containers share its processes", NEWER, async (node, cri) => {
  await withPod(cri, podConfig(node.directory, WITH_USERS), async (pod) => {
    const id = await startContainer(cri, pod, "first");
    const script = "id -u; cat /proc/self/uid_map; stat -c %u:%g /bin; cat /proc/1/comm; : >/dev/shm/x";
    const [code, stdout, stderr] = await exec(cri, id, script);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^0\n +0 +100000 +65536\n0:0\nsleep\n$/);
    await stopContainer(cri, id);
  });
});
