/** A dockerd of the tests' own, which runs containers by our shim. @module */
import { type Containerd, type ContainerdOptions, releases, RUNTIME } from "./containerd.ts";
import { writeLayer } from "./image.ts";
import { isInstalled, must, removeCgroup, run } from "./runk.ts";
import { until } from "../support/wait.ts";

export const IMAGE = "busybox:test";
/** Runs at the same time have networks of their own. */
export const NUMBER = crypto.getRandomValues(new Uint8Array(1))[0]!;
const BRIDGE = `kata-dock${NUMBER}`;
export const GATEWAY = `10.199.${NUMBER}.1`;

/** A Docker and how it is told of the runtime. */
export interface DockerRelease {
  version: string;
  dockerd: string;
  docker: string;
  /** Of its own time. */
  containerd: ContainerdOptions["release"] | undefined;
  /** Before 23 Docker knows one containerd runtime only: our shim stands in the place of that. */
  runtime: string;
}

export function dockerReleases(): readonly DockerRelease[] {
  const cache = Deno.env.get("KATA_CACHE") ?? `${Deno.env.get("HOME")}/.cache/kata`;
  const tree = `${cache}/unpacked/sid-${Deno.build.arch === "x86_64" ? "amd64" : "arm64"}/docker/usr`;
  const [older, newer] = [releases().find(({ version }) => version.startsWith("1.")), releases().at(-1)];
  const all = [
    { version: "20.10", dockerd: "/usr/sbin/dockerd", docker: "/usr/bin/docker", containerd: older, runtime: "runc" },
    {
      version: "28",
      dockerd: `${tree}/sbin/dockerd`,
      docker: `${tree}/bin/docker`,
      containerd: newer,
      runtime: RUNTIME,
    },
  ];
  return all.filter(({ dockerd, containerd }) => isInstalled(dockerd) && containerd !== undefined);
}

/** A dockerd on a containerd and a bridge of its own. Disposing it ends it. */
export class Docker implements AsyncDisposable {
  readonly #release: DockerRelease;
  readonly #directory: string;
  readonly #daemon: Deno.ChildProcess;

  constructor(release: DockerRelease, containerd: Containerd) {
    this.#release = release;
    this.#directory = `${containerd.directory}/docker`;
    Deno.mkdirSync(this.#directory);
    Deno.writeTextFileSync(`${this.#directory}/none.json`, "{}");
    const places = ["--data-root", `${this.#directory}/data`, "--exec-root", `${this.#directory}/exec`];
    const contact = ["--pidfile", `${this.#directory}/pid`, "--host", `unix://${this.#directory}/docker.sock`];
    const network = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--userland-proxy=false"];
    const others = ["--containerd", `${containerd.directory}/c.sock`, "--storage-driver=vfs"];
    this.#daemon = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        `exec "$0" "$@" >${this.#directory}/log 2>&1`,
        release.dockerd,
        ...places,
        ...contact,
        ...network,
        ...others,
        ...["--bridge", BRIDGE, "--config-file", `${this.#directory}/none.json`],
      ],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      stdin: "null",
    }).spawn();
  }

  static async start(release: DockerRelease, containerd: Containerd): Promise<Docker> {
    await must(["ip", "link", "add", BRIDGE, "type", "bridge"]);
    await must(["ip", "address", "add", `${GATEWAY}/24`, "dev", BRIDGE]);
    await must(["ip", "link", "set", BRIDGE, "up"]);
    const docker = new Docker(release, containerd);
    await until(async () => (await run(docker.words("version"))).status === 0).catch((cause) => {
      throw new Error(`Cannot start dockerd: ${docker.log()}`, { cause });
    });
    await writeLayer(`${docker.#directory}/layer.tar`);
    await must(docker.words("import", "--change", "ENV PATH=/bin", `${docker.#directory}/layer.tar`, IMAGE));
    return docker;
  }

  log(): string {
    return Deno.readTextFileSync(`${this.#directory}/log`).slice(-3000);
  }

  words(...args: readonly string[]): string[] {
    return [this.#release.docker, "--host", `unix://${this.#directory}/docker.sock`, ...args];
  }

  run(...args: readonly string[]): string[] {
    return this.words("run", "--runtime", this.#release.runtime, ...args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const containers = (await run(this.words("ps", "--all", "--quiet"))).stdout.split("\n").filter((id) => id !== "");
    if (containers.length > 0) await run(this.words("rm", "--force", ...containers));
    this.#daemon.kill("SIGTERM");
    await this.#daemon.status;
    await removeCgroup("docker");
    // dockerd leaves a mount of the first, and one of the host's network in the second.
    for (const place of ["data", "exec/netns/default"]) await run(["umount", "--lazy", `${this.#directory}/${place}`]);
    await run(["ip", "link", "delete", BRIDGE]);
  }
}
