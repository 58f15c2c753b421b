/** The shim's task service over the host's whole domain, with an agent that has no guest. @module */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import { readMountInfo } from "../../src/linux/mount/mountinfo.ts";
import { TaskEvents } from "../../src/shim/events/task_events.ts";
import { TaskService } from "../../src/shim/task_service.ts";
import { FakeAgent, FakeVm, type FakeVmOptions, type OtherMethods } from "./fake_agent.ts";

export const NO_OPTIONS = { checkpoint: "", parentCheckpoint: "", terminal: false, stdin: "", stdout: "", stderr: "" };
const log = createLogger({ sink: () => {} });

/** As engines ask for them. */
export const OWN_NAMESPACES: readonly { type: string }[] = ["network", "ipc", "uts", "pid"].map((type) => ({ type }));

/** Any files that exist: there is no VM. */
export const CONFIGURATION = `[hypervisor.qemu]
path = "/bin/true"
kernel = "/etc/passwd"
initrd = "/etc/passwd"
virtio_fs_daemon = "/bin/true"
`;

/** A shim in directories of its own. */
export class Shim implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "kata-task-" });
  readonly agent: FakeAgent;
  readonly vm: FakeVm;
  readonly topics: string[] = [];
  readonly roots = { run: `${this.directory}/run`, shared: `${this.directory}/shared` };
  readonly tasks: TaskService;
  isDown = false;

  /** @param others Methods of the agent, such as those that lie. */
  constructor(others: OtherMethods = {}, options: FakeVmOptions = {}) {
    this.agent = new FakeAgent(this.directory, others);
    this.vm = new FakeVm(this.agent.address, options);
    Deno.writeTextFileSync(`${this.directory}/configuration.toml`, CONFIGURATION);
    Deno.env.set("KATA_CONF_FILE", `${this.directory}/configuration.toml`);
    this.tasks = new TaskService({
      args: { id: "c1", namespace: "default" },
      address: "unix:///no/such",
      events: new TaskEvents((topic) => this.topics.push(topic)),
      logs: { log, at: () => log },
      cgroupVersion: "v1",
      onShutdown: () => this.isDown = true,
      sandbox: { roots: this.roots, makeHypervisor: () => this.vm },
    });
  }

  /** @param spec Gets namespaces, as engines ask for them, if it says nothing of Linux. */
  bundle(name: string, spec: Record<string, unknown>): string {
    const path = `${this.directory}/${name}`;
    Deno.mkdirSync(`${path}/rootfs`, { recursive: true });
    Deno.writeTextFileSync(
      `${path}/config.json`,
      JSON.stringify({ ociVersion: "1.2.0", linux: { namespaces: OWN_NAMESPACES }, ...spec }),
    );
    return path;
  }

  /** Creates container `c1`, which runs `args`. */
  async create(args: readonly string[], streams: Partial<typeof NO_OPTIONS> = {}): Promise<void> {
    const bundle = this.bundle("bundle", { process: { args, cwd: "/", user: { uid: 0, gid: 0 } } });
    await this.tasks.create({ id: "c1", bundle, rootfs: [], ...NO_OPTIONS, ...streams });
  }

  async start(execId = ""): Promise<void> {
    await this.tasks.start({ id: "c1", execId });
  }

  async wait(execId = ""): Promise<number> {
    return (await this.tasks.wait({ id: "c1", execId })).exitStatus;
  }

  mounts(): readonly string[] {
    return readMountInfo().map(({ mountPoint }) => mountPoint).filter((path) => path.startsWith(this.directory));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tasks.shutdown({ id: "c1", now: true });
    await this.agent[Symbol.asyncDispose]();
    assert.deepEqual(this.mounts(), []);
    for (const root of [this.roots.run, this.roots.shared]) assert.deepEqual([...Deno.readDirSync(root)], []);
    Deno.env.delete("KATA_CONF_FILE");
    Deno.removeSync(this.directory, { recursive: true });
  }
}
