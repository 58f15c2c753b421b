/** A guest of our own for the VM tests: the images of `dist/guest` under the real monitor, without containerd. @module */
import { createLogger } from "../../src/base/log.ts";
import type { Config, QemuConfig } from "../../src/config/schema.ts";
import { loadConfig } from "../../src/config/load.ts";
import { createHypervisor } from "../../src/hypervisor/create.ts";
import { templateVm } from "../../src/sandbox/machine/make_template.ts";
import type { Hypervisor } from "../../src/hypervisor/hypervisor.ts";
import { type AgentClients, agentClients } from "../../src/sandbox/agent/answers.ts";
import { dialAgent } from "../../src/sandbox/agent/client.ts";
import { shareDaemon } from "../support/share_daemon.ts";

export const REPO = new URL("../../", import.meta.url).pathname;
export const CACHE: string = Deno.env.get("KATA_CACHE") ??
  `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/kata`;
const DEBIAN_ARCH = Deno.build.arch === "x86_64" ? "amd64" : "arm64";

export const GUEST = Deno.env.get("KATA_GUEST") ?? `${REPO}dist/guest`;
/** The vsock daemon that `scripts/test` unpacks. */
export const VSOCK_DAEMON = `${CACHE}/unpacked/sid-${DEBIAN_ARCH}/vhost-device-vsock/usr/bin/vhost-device-vsock`;

/** Programs of another version than the machine's, if the suite names them: `KATA_QEMU`, `KATA_VIRTIOFSD`. */
export const PROGRAMS: Partial<Pick<QemuConfig, "path" | "virtio_fs_daemon">> = {
  ...programFrom("path", "KATA_QEMU"),
  virtio_fs_daemon: shareDaemon(),
};

function programFrom<K extends string>(key: K, variable: string): Partial<Record<K, string>> {
  const path = Deno.env.get(variable);
  return path === undefined || path === "" ? {} : { [key]: path } as Record<K, string>;
}

/** How long a guest may take to boot: more in a machine that is emulated itself. */
const BOOT_MS = Number(Deno.env.get("KATA_BOOT_MS") ?? 60_000);

export interface MachineOptions {
  /** Lines of the table [hypervisor.qemu]. */
  settings?: readonly string[];
  /** Lines of the table [agent.kata]. */
  agent?: readonly string[];
  /** Another root image. */
  image?: string;
  /** Directory of another guest. */
  guest?: string;
}

/** A booted VM and the connection to its agent. Disposing it ends and removes everything. */
export interface Machine extends AsyncDisposable {
  vm: Hypervisor;
  agent: AgentClients;
  config: Config;
  /** From the monitor's start to the agent's first answer. */
  bootMs: number;
  /** Ends the connection, for another one. */
  hangUp(): Promise<void>;
}

export async function bootMachine(options: MachineOptions = {}): Promise<Machine> {
  await using stack = new AsyncDisposableStack();
  const runDir = await Deno.makeTempDir({ prefix: "kata-vm-" });
  stack.defer(() => Deno.remove(runDir, { recursive: true }));
  const config = await writeConfig(runDir, options);
  const signal = AbortSignal.timeout(BOOT_MS);
  const log = createLogger({ sink: () => {} });
  const vm = stack.use(createHypervisor(config.hypervisor, templateVm(config), { id: "vm-test", runDir, log }));
  const begin = performance.now();
  await vm.start({ signal });
  const transport = stack.use(await dialAgent(vm, { sandboxId: "vm-test", config: config.agent, signal }));
  const agent = agentClients(transport);
  await agent.health.check({});
  const bootMs = Math.round(performance.now() - begin);
  const owned = stack.move();
  const hangUp = async () => {
    transport[Symbol.dispose]();
    await transport.closed;
  };
  return { vm, agent, config, bootMs, hangUp, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Writes a configuration of the guest to `directory`, and reads it. */
export async function writeConfig(
  directory: string,
  { settings = [], agent = [], guest = GUEST, image = `${guest}/root.erofs` }: MachineOptions,
): Promise<Config> {
  const path = `${directory}/configuration.toml`;
  const usual = {
    kernel: `"${guest}/vmlinux"`,
    initrd: `"${guest}/initrd.cpio"`,
    image: `"${image}"`,
    default_memory: "512",
    ...Object.fromEntries(Object.entries(PROGRAMS).map(([key, program]) => [key, `"${program}"`])),
  };
  const lines = [
    "[hypervisor.qemu]",
    ...Object.entries(usual).map(([key, value]) => `${key} = ${value}`).filter((line) => !isSetBy(settings, line)),
    ...settings,
    "[agent.kata]",
    `reconnect_timeout_ms = ${BOOT_MS}`,
    ...agent,
  ];
  await Deno.writeTextFile(path, `${lines.join("\n")}\n`);
  return loadConfig({ commandLine: path }).config;
}

function isSetBy(settings: readonly string[], line: string): boolean {
  return settings.some((setting) => setting.split(" =")[0] === line.split(" =")[0]);
}
