/**
 * An agent without a guest, for tests of the host's side: it speaks the real protocol on a unix socket, and its
 * processes are a few lines each.
 *
 * @module
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { createLogger } from "../../src/base/log.ts";
import type { Hypervisor, VmExit } from "../../src/hypervisor/hypervisor.ts";
import { AgentService, type CreateContainerRequest } from "../../src/proto/agent_pb.ts";
import { Health } from "../../src/proto/health_pb.ts";
import { type HostKey, newHostKey } from "../../src/rpc/transport/host_key.ts";
import { listen } from "../../src/rpc/transport/address.ts";
import { defineService, serveTtrpc } from "../../src/rpc/ttrpc/server.ts";

/** A process by its first argument: `echo WORD...`, `lines N`, `cat`, `exit N`, or `sleep`, which ends by a signal. */
class FakeProcess {
  readonly exited = Promise.withResolvers<number>();
  readonly #args: readonly string[];
  #output: Uint8Array[] = [];
  #changed = Promise.withResolvers<void>();
  #ended = false;

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  run(): void {
    const [program, ...rest] = this.#args;
    if (program === "echo") this.write(new TextEncoder().encode(`${rest.join(" ")}\n`));
    if (program === "lines") {
      for (let line = 1; line <= Number(rest[0]); line++) this.write(new TextEncoder().encode(`${line}\n`));
      this.end(0);
    }
    if (program === "echo" || program === "exit") this.end(Number(program === "exit" ? rest[0] : 0));
  }

  write(data: Uint8Array): void {
    this.#output.push(data.slice());
    this.#notify();
  }

  closeInput(): void {
    if (this.#args[0] === "cat") this.end(0);
  }

  end(status: number): void {
    this.#ended = true;
    this.exited.resolve(status);
    this.#notify();
  }

  async read(): Promise<Uint8Array> {
    while (this.#output.length === 0 && !this.#ended) await this.#changed.promise;
    return this.#output.shift() ?? new Uint8Array();
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** Methods in place of those of the honest agent, which a function is given. */
export type OtherMethods = AgentMethods | ((own: AgentMethods) => AgentMethods);

export type AgentMethods = Parameters<typeof defineService<typeof AgentService>>[1];

/** The agent; `calls` are the methods in the order in which they came. */
export class FakeAgent implements AsyncDisposable {
  readonly calls: string[] = [];
  readonly created: CreateContainerRequest[] = [];
  readonly address: string;
  readonly #processes = new Map<string, FakeProcess>();
  readonly #stop = new AbortController();
  readonly #serving: Promise<void>;

  /** @param others Such as methods that lie. */
  constructor(directory: string, others: OtherMethods = {}) {
    const own = this.#methods();
    this.address = `unix://${directory}/agent.sock`;
    const log = createLogger({ sink: () => {} });
    const services = [
      defineService(AgentService, { ...own, ...(typeof others === "function" ? others(own) : others) }),
      defineService(Health, { check: () => ({ status: 1 }) }),
    ];
    this.#serving = serveTtrpc(listen(this.address), services, { signal: this.#stop.signal, log, drainMs: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#serving;
  }

  #find({ containerId, execId }: { containerId: string; execId: string }): FakeProcess {
    const process = this.#processes.get(`${containerId}/${execId}`);
    if (process === undefined) throw new ConnectError(`no process ${containerId}/${execId}`, Code.NotFound);
    return process;
  }

  #methods(): AgentMethods {
    const note = (call: string) => void this.calls.push(call);
    return {
      setGuestDateTime: () => ({}),
      createSandbox: () => (note("createSandbox"), {}),
      destroySandbox: () => (note("destroySandbox"), {}),
      createContainer: (request) => {
        note("createContainer");
        this.created.push(request);
        this.#processes.set(`${request.containerId}/`, new FakeProcess(request.OCI?.Process?.Args ?? []));
        return {};
      },
      startContainer: ({ containerId }) => {
        note("startContainer");
        this.#find({ containerId, execId: "" }).run();
        return {};
      },
      execProcess: ({ containerId, execId, process }) => {
        note("execProcess");
        if (process?.Args[0] === "fail") throw new ConnectError("no such program", Code.NotFound);
        const added = new FakeProcess(process?.Args ?? []);
        this.#processes.set(`${containerId}/${execId}`, added);
        added.run();
        return {};
      },
      signalProcess: (request) => {
        note(`signalProcess ${request.signal}`);
        this.#find(request).end(128 + request.signal);
        return {};
      },
      waitProcess: async (request) => ({ status: await this.#find(request).exited.promise }),
      readStdout: async (request) => ({ data: await this.#find(request).read() }),
      readStderr: () => ({ data: new Uint8Array() }),
      writeStdin: (request) => {
        this.#find(request).write(request.data);
        return { len: request.data.length };
      },
      closeStdin: (request) => {
        this.#find(request).closeInput();
        return {};
      },
      ttyWinResize: ({ row, column }) => (note(`ttyWinResize ${row}x${column}`), {}),
      pauseContainer: () => (note("pauseContainer"), {}),
      resumeContainer: () => (note("resumeContainer"), {}),
      removeContainer: () => (note("removeContainer"), {}),
      statsContainer: () => ({ cgroupStats: { pidsStats: { current: 1n } } }),
    };
  }
}

export interface FakeVmOptions {
  /** The agent may be Kata's: then it is asked for no proof. Default: ours. */
  isKatas?: boolean;
}

/** A VM that is only an agent. `die` is its unexpected end. */
export class FakeVm implements Hypervisor {
  readonly name = "fake";
  readonly #address: string;
  readonly #key: HostKey | undefined;
  readonly #ended = Promise.withResolvers<VmExit>();

  constructor(address: string, { isKatas = false }: FakeVmOptions = {}) {
    this.#address = address;
    this.#key = isKatas ? undefined : newHostKey();
  }

  die(reason: string): void {
    this.#ended.resolve({ expected: false, reason });
  }

  async start(): Promise<void> {}
  wait(): Promise<VmExit> {
    return this.#ended.promise;
  }
  async stop(): Promise<void> {
    this.#ended.resolve({ expected: true, reason: "stopped" });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
  agentAddress(): string {
    return this.#address;
  }
  agentKey(): HostKey | undefined {
    return this.#key;
  }

  consoleTail(): readonly string[] {
    return ["guest: last line"];
  }
  async info(): ReturnType<Hypervisor["info"]> {
    return { pid: Deno.pid, pids: [Deno.pid], vcpuThreads: [], vcpus: 1, memoryMiB: 1 };
  }
  pause = unused;
  resume = unused;
  guestAddress = () => undefined;
}

function unused(): never {
  throw new Error("Cannot do this with a fake VM");
}
