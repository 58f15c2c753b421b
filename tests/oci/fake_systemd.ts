/**
 * A systemd of few words on a real message bus: it makes the units that it is asked for, with their cgroups, and keeps
 * what it was told of each. The bus is dbus-daemon, which drops whoever sends it a malformed message.
 *
 * @module
 */
import { exists } from "../../src/base/files.ts";
import { BUS, DbusClient } from "../../src/systemd/dbus_client.ts";
import { MESSAGE, type Message } from "../../src/systemd/dbus_message.ts";
import type { Value, Variant } from "../../src/systemd/dbus_wire.ts";

const NAME = "org.freedesktop.systemd1";
const PATH = "/org/freedesktop/systemd1";

/** Where systemd puts its units on v1; on v2 there is but one hierarchy. */
const V1_HIERARCHIES = ["systemd", "unified", "memory", "cpu", "cpuacct", "blkio", "pids", "devices"];

type Properties = Map<string, Value>;

/** Fate of a unit. */
export interface Unit {
  properties: Properties;
  directories: string[];
  isStopped: boolean;
}

interface Answer {
  signature?: string;
  body?: Value[];
  /** The unit whose job has ended. */
  job?: string;
}

export class FakeSystemd implements AsyncDisposable {
  readonly units: Map<string, Unit> = new Map();
  /** Variables by which others find the bus. */
  readonly env: Record<string, string>;
  readonly #bus: Deno.ChildProcess;
  readonly #client: DbusClient;
  readonly #stop: AbortController;
  readonly #serving: Promise<void>;
  #jobs = 0;

  /** Use {@linkcode FakeSystemd.start}. */
  constructor(parts: { bus: Deno.ChildProcess; client: DbusClient; stop: AbortController; address: string }) {
    this.#bus = parts.bus;
    this.#client = parts.client;
    this.#stop = parts.stop;
    this.env = { DBUS_SYSTEM_BUS_ADDRESS: parts.address };
    this.#serving = this.#serve();
  }

  /** @param directory For the bus's socket and settings. */
  static async start(directory: string): Promise<FakeSystemd> {
    const address = `unix:path=${directory}/bus`;
    Deno.writeTextFileSync(`${directory}/bus.conf`, busConfig(address));
    const args = [`--config-file=${directory}/bus.conf`, "--nofork", "--nopidfile", "--print-address=1"];
    const bus = new Deno.Command("dbus-daemon", { args, stdin: "null", stdout: "piped", stderr: "null" }).spawn();
    const ready = bus.stdout.getReader();
    await ready.read(); // its address, once it listens
    await ready.cancel();
    const stop = new AbortController();
    const client = await DbusClient.connect(`${directory}/bus`, { signal: stop.signal });
    await client.call(BUS, { member: "RequestName", signature: "su", body: [NAME, 0] });
    return new FakeSystemd({ bus, client, stop, address });
  }

  async #serve(): Promise<void> {
    for (;;) {
      const message = await this.#client.receive();
      if (message.type !== MESSAGE.call) continue;
      const back = { replySerial: message.serial, destination: message.sender! };
      try {
        const { job, ...answer } = await this.#answer(message);
        await this.#client.send({ type: MESSAGE.reply, ...back, ...answer });
        if (job !== undefined) await this.#tellJobRemoved(job);
      } catch (error) {
        const body = [(error as Error).message];
        await this.#client.send({
          type: MESSAGE.error,
          ...back,
          errorName: (error as Error).name,
          signature: "s",
          body,
        });
      }
    }
  }

  async #answer({ member, body = [] }: Message): Promise<Answer> {
    switch (member) {
      case "Get":
        return { signature: "v", body: [propertyOf(String(body[1]))] };
      case "StartTransientUnit":
        this.#startUnit(String(body[0]), properties(body[2]));
        return this.#jobAnswer(String(body[0]));
      case "SetUnitProperties":
        for (const [name, value] of properties(body[2])) this.#find(String(body[0])).properties.set(name, value);
        return {};
      case "StopUnit":
        await this.#stopUnit(this.#find(String(body[0])));
        return this.#jobAnswer(String(body[0]));
      case "ResetFailedUnit":
      case "Subscribe":
        return {};
      default:
        throw failure("org.freedesktop.DBus.Error.UnknownMethod", `no method ${member}`);
    }
  }

  #find(name: string): Unit {
    const unit = this.units.get(name);
    if (unit === undefined || unit.isStopped) throw failure(`${NAME}.NoSuchUnit`, `Unit ${name} not loaded.`);
    return unit;
  }

  #startUnit(name: string, properties: Properties): void {
    if (this.units.get(name)?.isStopped === false) throw failure(`${NAME}.UnitExists`, `Unit ${name} already exists.`);
    const directories = hierarchies().map((root) => `${root}/${properties.get("Slice")}/${name}`);
    for (const directory of directories) {
      Deno.mkdirSync(directory, { recursive: true });
      for (const pid of properties.get("PIDs") as number[]) {
        Deno.writeTextFileSync(`${directory}/cgroup.procs`, `${pid}`);
      }
    }
    this.units.set(name, { properties, directories, isStopped: false });
  }

  async #stopUnit(unit: Unit): Promise<void> {
    unit.isStopped = true;
    for (const directory of unit.directories) await Deno.remove(directory).catch(() => {}); // busy: the runtime's turn
  }

  #jobAnswer(unit: string): Answer {
    return { signature: "o", body: [`${PATH}/job/${++this.#jobs}`], job: unit };
  }

  async #tellJobRemoved(unit: string): Promise<void> {
    const body = [this.#jobs, `${PATH}/job/${this.#jobs}`, unit, "done"];
    const signal = { path: PATH, interface: `${NAME}.Manager`, member: "JobRemoved", signature: "uoss", body };
    await this.#client.send({ type: MESSAGE.signal, ...signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#serving.catch(() => {});
    this.#client[Symbol.dispose]();
    this.#bus.kill("SIGTERM");
    await this.#bus.status;
    for (const { directories, properties } of this.units.values()) {
      for (const directory of directories) await removeCgroups(directory, String(properties.get("Slice")));
    }
  }
}

async function removeCgroups(directory: string, slice: string): Promise<void> {
  await Deno.remove(directory).catch(() => {});
  const parent = directory.slice(0, directory.lastIndexOf("/"));
  if (parent.endsWith(slice)) await Deno.remove(parent).catch(() => {});
}

function hierarchies(): string[] {
  const root = "/sys/fs/cgroup";
  if (exists(`${root}/cgroup.controllers`)) return [root];
  return V1_HIERARCHIES.map((name) => `${root}/${name}`).filter((path) => exists(`${path}/cgroup.procs`));
}

function properties(list: Value | undefined): Properties {
  return new Map((list as [string, Variant][]).map(([name, { value }]) => [name, value]));
}

function propertyOf(name: string): Variant {
  if (name === "Version") return { signature: "s", value: "252.39-1~deb12u1" };
  throw failure("org.freedesktop.DBus.Error.UnknownProperty", `no property ${name}`);
}

function failure(name: string, text: string): Error {
  return Object.assign(new Error(text), { name });
}

function busConfig(address: string): string {
  return `<busconfig><listen>${address}</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`;
}
