/** A sandbox whose containers have their root file systems on disks, for the tests of machines. @module */
import assert from "node:assert/strict";
import { createLogger } from "../../src/base/log.ts";
import type { Device, Spec } from "../../src/oci/spec/spec.ts";
import type { RootfsMount } from "../../src/resources/rootfs/rootfs.ts";
import type { Container } from "../../src/sandbox/container/container.ts";
import { Sandbox } from "../../src/sandbox/sandbox.ts";
import { Bundle } from "../system/oci_bundle.ts";
import { commandOf, list } from "../interop/host.ts";
import { type MachineOptions, writeConfig } from "./machine.ts";

const decoder = new TextDecoder();

export function run(command: string, ...args: readonly string[]): string {
  const { success, stdout, stderr } = new Deno.Command(command, { args: [...args] }).outputSync();
  assert.ok(success, `${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Devices of a specification, with what its rules allow. */
export type WithRules = readonly (Required<Pick<Device, "path" | "type" | "major" | "minor">> & { access: string })[];

export interface DiskOptions {
  /** As mkfs.ext4 takes it. */
  size?: string;
  fill?: (rootfs: string) => void;
}

/** How a container runs. */
export type RunOptions = Partial<RootfsMount> & { devices?: WithRules; change?: (spec: Spec) => void };

/** A sandbox whose own container sleeps on a disk, and disks with busybox for others. */
export class Box implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #bundle = this.#stack.use(new Bundle());
  readonly #id = `disk-${crypto.randomUUID().slice(0, 8)}`;
  readonly lines: Record<string, unknown>[] = [];
  #sandbox: Sandbox | undefined;

  readonly #size: string;

  /** Use {@linkcode Box.start}. */
  constructor(size: string) {
    this.#size = size;
  }

  /** @param disks How large they are, and what changes the files on them. */
  static async start(options: MachineOptions, disks: DiskOptions = {}): Promise<Box> {
    const { size = "24M", fill = () => {} } = disks;
    const box = new Box(size);
    fill(box.#bundle.rootfs);
    await box.#start(options);
    return box;
  }

  async #start(options: MachineOptions): Promise<void> {
    const { path } = this.#bundle;
    const log = createLogger({ sink: (line) => this.lines.push(JSON.parse(line)), level: "debug" });
    this.#sandbox = this.#stack.use(
      await Sandbox.create({
        id: this.#id,
        config: await writeConfig(path, options),
        log,
        roots: { run: `${path}/run`, shared: `${path}/shared` },
        spec: this.#bundle.spec(["sleep", "1000"], ({ linux }) => delete linux.cgroupsPath),
        type: "single_container",
        owner: { address: "unix:///none", namespace: "test" },
      }),
    );
    const { container } = await this.create(this.#id, ["sleep", "1000"], this.disk("own"));
    await this.#sandbox.startContainer(container.id);
  }

  /** Makes a read-only image of the bundle's files. @returns Its path. */
  image(name: string): string {
    const path = `${this.#bundle.path}/${name}.img`;
    run("mkfs.erofs", "--quiet", path, this.#bundle.rootfs);
    return path;
  }

  /** Makes a disk with the bundle's files. @returns Its path. */
  disk(name: string): string {
    const path = `${this.#bundle.path}/${name}.img`;
    run("mkfs.ext4", "-q", "-d", this.#bundle.rootfs, path, this.#size);
    return path;
  }

  async create(
    id: string,
    args: readonly string[],
    source: string,
    { type = "ext4", options = ["loop", "rw"], devices = [], change = () => {} }: RunOptions = {},
  ): Promise<{ container: Container; output: () => string }> {
    const spec = this.#bundle.spec(args, (spec) => {
      const { root, linux, process: { capabilities } } = spec;
      for (const set of Object.values(capabilities ?? {})) set.push("CAP_MKNOD");
      root!.readonly = options.includes("ro");
      linux.devices = devices.map(({ access: _, ...device }) => device);
      linux.resources = {
        devices: [
          { allow: false, access: "rwm" },
          ...devices.map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access })),
        ],
      };
      change(spec);
    });
    const rootfs = [{ type, source, options }];
    let output = "";
    const stdout = {
      write: (data: Uint8Array) => Promise.resolve(void (output += decoder.decode(data))),
      [Symbol.dispose]() {},
    };
    const stdio = {
      names: { stdin: "", stdout: "x", stderr: "x" },
      stdout,
      stderr: stdout,
      async [Symbol.asyncDispose]() {},
    };
    const container = await this.#sandbox!.createContainer({
      id,
      type: "single_container",
      bundle: this.#bundle.path,
      spec,
      rootfs,
      terminal: false,
      stdio,
    });
    return { container, output: () => output };
  }

  async start(id: string): Promise<void> {
    await this.#sandbox!.startContainer(id);
  }

  async remove(id: string): Promise<void> {
    await this.#sandbox!.removeContainer(id);
  }

  /** Runs a container to its end, and removes it. @returns Its output. */
  async run(
    id: string,
    script: string,
    source: string,
    options: RunOptions = {},
  ): Promise<string> {
    const { container, output } = await this.create(id, ["sh", "-c", script], source, options);
    await this.start(id);
    assert.equal((await container.init.exited).status, 0, output());
    await container.init.drained();
    await this.remove(id);
    return output();
  }

  /** How often a disk was plugged so far. */
  get plugs(): number {
    return this.lines.filter(({ msg }) => String(msg).startsWith("Plugged block")).length;
  }

  /** Whether the monitor has a file open. */
  holds(path: string): boolean {
    const pid = this.#sandbox!.pid;
    return list(`/proc/${pid}/fd`).some((fd) => {
      try {
        return Deno.readLinkSync(`/proc/${pid}/fd/${fd}`) === path;
      } catch {
        return false;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    assert.deepEqual(list("/proc").flatMap(commandOf).filter((line) => line.includes(this.#id)), []);
  }
}
