/**
 * Runs a plan on a runtime and writes down all that can be seen of it, inside and on the host, as sections of text that
 * are the same for two runtimes that do the same.
 *
 * @module
 */
import { exists } from "../../../src/base/files.ts";
import type { Fd } from "../../../src/linux/io/fd.ts";
import { readSome } from "../../../src/linux/io/poll.ts";
import { acceptUnix, listenUnix, receiveFds } from "../../../src/linux/net/socket.ts";
import { type CallOptions, host, type Result } from "../runtime.ts";
import { cgroupFiles, cgroupRemains } from "./cgroup_files.ts";
import { Normal } from "./normal.ts";
import type { Command, Plan } from "./plan.ts";
import { CONTAINER_PROBE, END, PROCESS_PROBE } from "./probe.ts";
import { until } from "../../support/wait.ts";

/** Observations, by where they were made. */
export type Sections = Record<string, string>;

export interface Observation {
  sections: Sections;
  /** Whether its program ran. */
  isMade: boolean;
  /** State, mounts and cgroups that are still there; nothing, if all is well. */
  left: string;
  /** Lines that the runtime wrote to stderr, one a call. */
  errors: readonly string[];
}

const WAITS = "trap 'exit 7' TERM; /bin/busybox sleep 1000 & wait";

/** Runs the plan to the end. */
export async function observe(plan: Plan, commands: readonly Command[]): Promise<Observation> {
  const observer = new Observer(plan);
  plan.save(`${CONTAINER_PROBE}\n${plan.isForeground ? "exit 3" : WAITS}`);
  const isMade = plan.isForeground ? await observer.run() : await observer.live(commands);
  const left = await observer.remains(isMade);
  return { sections: observer.sections, isMade, left, errors: observer.errors };
}

class Observer {
  readonly sections: Sections = {};
  readonly errors: string[] = [];
  readonly #plan: Plan;
  readonly #normal: Normal;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#normal = new Normal(plan);
  }

  /** @returns Whether there was a container. */
  async run(): Promise<boolean> {
    const { box, id, fds, flags } = this.#plan;
    const result = await this.#call(["run", ...flags, "--bundle", box.bundle, id], { fds });
    this.#note("run", `exit ${result.code}`);
    this.#noteSections("run", result.stdout);
    return result.stdout.includes("== ");
  }

  /** From `create` over `start` and the commands to `delete`. @returns Whether there was a container. */
  async live(commands: readonly Command[]): Promise<boolean> {
    const { box, id, fds, flags, hasConsole } = this.#plan;
    const [output, pidFile, socket] = [`${box.dir}/output`, `${box.dir}/pid`, `${box.dir}/console`];
    using listener = hasConsole ? listenUnix(socket) : undefined;
    const words = [...flags, "--pid-file", pidFile, ...hasConsole ? ["--console-socket", socket] : []];
    const { code } = await this.#call(["create", ...words, "--bundle", box.bundle, id], { fds, output });
    this.#note("create", `exit ${code}`);
    if (code !== 0) return false;
    using terminal = listener && await receiveTerminal(listener);
    const pid = Number(Deno.readTextFileSync(pidFile));
    await this.#look("created", pid);
    const started = await this.#call(["start", id]);
    this.#note("start", `exit ${started.code}`);
    const text = await (terminal === undefined ? readOutput(output, pid) : readTerminal(terminal));
    this.#noteSections("container", text);
    for (const [index, command] of commands.entries()) {
      this.#noteSections(`${index} ${command.name}`, await this.#command(command, pid));
    }
    await this.#look("at the end", pid);
    this.#note("delete", `exit ${(await this.#call(["delete", "--force", id])).code}`);
    return started.code === 0;
  }

  /** Looks for what is left on the host. @returns That of it which should not be. */
  async remains(isMade: boolean): Promise<string> {
    const { box, out } = this.#plan;
    if (isMade && exists(`${out}/hooks`)) {
      this.#note("hooks", this.#normal.hooks(Deno.readTextFileSync(`${out}/hooks`)));
    }
    const options = ["-path", `${box.rootfs}/bin`, "-prune", "-o", "-printf", "%P %y %m %U %G %l\n"];
    // How far a runtime has come until it refuses is its own affair.
    if (isMade) this.#note("files of the host", this.#normal.sorted(await host("find", box.rootfs, ...options)));
    const states = exists(box.root) ? [...Deno.readDirSync(box.root)].map(({ name }) => `state ${name}`) : [];
    const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").filter((line) => line.includes(box.dir));
    const left = [...states, ...mounts, ...await this.#cgroupRemains()].join("\n");
    this.#note("left behind", left);
    return left;
  }

  async #cgroupRemains(): Promise<string[]> {
    const { box, id, cgroup } = this.#plan;
    const path: string | undefined = box.spec.linux?.cgroupsPath;
    return path?.includes(cgroup) ? await cgroupRemains(cgroup, path.replace(/^\//, "")) : await cgroupRemains(id, id);
  }

  async #call(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    const result = await this.#plan.box.call(args, options);
    const said = result.stderr.trim().split("\n").filter((line) => line !== "" && !line.includes("level=warning"));
    this.errors.push(...said.map((line) => `${args[0]}: ${line}`));
    return result;
  }

  async #command({ args, stdin, file }: Command, pid: number): Promise<string> {
    const { box, id } = this.#plan;
    const path = `${box.dir}/file.json`;
    if (file !== undefined) {
      Deno.writeTextFileSync(
        path,
        JSON.stringify(file).replace('"PROBE"', () => JSON.stringify(PROCESS_PROBE)),
      );
    }
    const names: Record<string, string> = { ID: id, BUNDLE: box.bundle, FILE: path, PROBE: PROCESS_PROBE };
    const words = args.map((word) => names[word] ?? word);
    const result = await this.#call(words, stdin === undefined ? {} : { stdin });
    await this.#settle(args, result, pid);
    return `exit ${result.code}\n${this.#normal.output(args, result.stdout)}\n== status\n${await this.#status()}`;
  }

  /** A signal takes a moment. */
  async #settle([name, ...args]: readonly string[], { code }: Result, pid: number): Promise<void> {
    const isDeadly = ["KILL", "SIGTERM", "15"].includes(args.at(-1)!);
    if (name !== "kill" || code !== 0 || !isDeadly || await this.#status() === "paused") return;
    await until(() => isGone(pid));
  }

  async #status(): Promise<string> {
    const { id } = this.#plan;
    const { code, stdout } = await this.#call(["state", id]);
    return code === 0 ? JSON.parse(stdout).status : `exit ${code}`;
  }

  async #look(when: string, pid: number): Promise<void> {
    const { id } = this.#plan;
    const { code, stdout } = await this.#call(["state", id]);
    this.#note(`${when}: state`, code === 0 ? this.#normal.state(stdout) : `exit ${code}`);
    if (isGone(pid)) return;
    this.#note(`${when}: cgroups`, cgroupFiles(pid));
  }

  #note(name: string, text: string): void {
    this.sections[name] = this.#normal.text(text);
  }

  /** Cuts the output of a probe at its `== NAME` lines. */
  #noteSections(prefix: string, text: string): void {
    const [head = "", ...rest] = text.replaceAll("\r\n", "\n").split(/^== /m);
    this.#note(prefix, head);
    for (const section of rest) {
      const [name = "", ...lines] = section.split("\n");
      this.#note(`${prefix}: ${name}`, this.#normal.section(name, lines.join("\n")));
    }
  }
}

/** Whether a process has ended, waited for or not. */
function isGone(pid: number): boolean {
  try {
    return /\) [ZX]/.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return true;
  }
}

async function readOutput(path: string, pid: number): Promise<string> {
  const read = () => Deno.readTextFileSync(path);
  try {
    await until(() => isGone(pid) || read().includes(END));
  } catch (cause) {
    throw new Error(`Cannot see the end of what process ${pid} prints, which so far is ${read()}`, { cause });
  }
  return read();
}

async function receiveTerminal(listener: Fd): Promise<Fd> {
  using connection = await acceptUnix(listener);
  return receiveFds(connection, new Uint8Array(256)).fds[0]!;
}

async function readTerminal(terminal: Fd): Promise<string> {
  terminal.setNonblocking();
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  for (let text = "";;) {
    const count = await readSome(terminal, buffer).catch(() => 0); // EIO once nobody has it open
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
    if (count === 0 || text.includes(END)) return text;
  }
}
