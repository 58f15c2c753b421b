/**
 * Makes the guest's initramfs: one static /init, the kernel modules that reach the root image, and the compiled agent.
 *
 * Usage: initramfs.ts --arch x86_64|aarch64 --output FILE [--cache DIRECTORY] MODULE.ko...     modules in load order
 *        initramfs.ts --arch x86_64|aarch64 --output FILE --busybox PROGRAM MODULE.ko...     with a script as /init
 *        initramfs.ts --arch x86_64|aarch64 --output FILE --init PROGRAM MODULE.ko...     the root image's own init
 *        initramfs.ts --arch x86_64|aarch64 --output FILE --hostile AGENT.js MODULE.ko...     an agent of the attacker's
 *        initramfs.ts --arch x86_64|aarch64 --output FILE --floor
 *
 * @module
 */
import type { Architecture } from "../../src/linux/child_program/syscall_numbers.ts";
import {
  AGENT,
  AGENT_DIRECTORY,
  agentArguments,
  CACHE_FILES,
  DENO_DIRECTORY,
  DENO_ENVIRONMENT,
} from "./agent_command.ts";
import { type CpioEntry, packCpio } from "./cpio.ts";
import { BUSYBOX, initScript } from "./init_script.ts";
import { withoutSignature } from "./kernel_module.ts";
import { assembleInit, type Step } from "../accelerate/init_program/init_program.ts";

const AT_FDCWD = -100;
const O_RDWR = 2;
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_BIND = 4096;
const MS_MOVE = 8192;
const REBOOT_MAGIC = [0xfee1dead, 672274793] as const;
const POWER_OFF = { call: "reboot", args: [...REBOOT_MAGIC, 0x4321fedc, 0], onError: "ignore" } satisfies Step;

/** The console is opened once devtmpfs is there; if the kernel has none, /dev/null stands in for it. */
const OPEN_CONSOLE: Step[] = [
  ...[0, 1, 2, 3].map((fd): Step => ({ call: "close", args: [fd], onError: "ignore" })),
  { call: "openat", args: [AT_FDCWD, "/dev/null", O_RDWR, 0], onError: "ignore" },
  ...[1, 2].map((fd): Step => ({ call: "dup3", args: [0, fd, 0], onError: "ignore" })),
  { call: "openat", args: [AT_FDCWD, "/dev/console", O_RDWR, 0], onError: "ignore" },
  ...[0, 1, 2].map((fd): Step => ({ call: "dup3", args: [3, fd, 0], onError: "ignore" })),
  { call: "close", args: [3], onError: "ignore" },
];

const MOUNT_DEV: Step = { call: "mount", args: ["devtmpfs", "/dev", "devtmpfs", MS_NOSUID, 0], onError: "stop" };

/** Loads a module. One that finds its hardware missing (ENODEV) is no reason to stop: the mount will tell. */
function loadModule(path: string): Step[] {
  return [
    { call: "openat", args: [AT_FDCWD, path, 0, 0], onError: "stop" }, // gives fd 3, the lowest that is free
    { call: "finit_module", args: [3, "", 0], onError: "ignore" },
    { call: "close", args: [3], onError: "ignore" },
    { call: "unlinkat", args: [AT_FDCWD, path, 0], onError: "ignore" }, // its memory is the guest's
  ];
}

/** File systems of the root image, besides /dev, when the agent starts. */
const MOUNTS: Step[] = [
  { call: "mount", args: ["proc", "/root/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0], onError: "stop" },
  { call: "mount", args: ["sysfs", "/root/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0], onError: "stop" },
  { call: "mount", args: ["tmpfs", "/root/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"], onError: "stop" },
  { call: "mount", args: ["tmpfs", "/root/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"], onError: "stop" },
];

/** The agent's binary is read by page faults all over it; larger reads halve their number. */
const READ_AHEAD_KIB = "512";
const SET_READ_AHEAD: Step[] = [
  { call: "openat", args: [AT_FDCWD, "/root/sys/block/vda/queue/read_ahead_kb", O_RDWR, 0], onError: "ignore" },
  { call: "write", args: [3, READ_AHEAD_KIB, READ_AHEAD_KIB.length], onError: "ignore" },
  { call: "close", args: [3], onError: "ignore" },
];

const SWITCH_ROOT: Step[] = [
  { call: "mount", args: ["/dev", "/root/dev", "", MS_MOVE, 0], onError: "stop" },
  { call: "chdir", args: ["/root"], onError: "stop" },
  { call: "mount", args: [".", "/", "", MS_MOVE, 0], onError: "stop" },
  { call: "chroot", args: ["."], onError: "stop" },
  { call: "chdir", args: ["/"], onError: "stop" },
];

const AGENT_ENVIRONMENT = [
  "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
  "HOME=/tmp",
  `DENO_DIR=${DENO_DIRECTORY}`,
  ...Object.entries(DENO_ENVIRONMENT).map(([name, value]) => `${name}=${value}`),
];

/** Deno writes to its caches, hence not from the root image; binding what is in memory already costs least. */
const BIND_CACHE: Step[] = [
  { call: "mkdirat", args: [AT_FDCWD, `/root${DENO_DIRECTORY}`, 0o755], onError: "stop" },
  { call: "mount", args: ["/cache", `/root${DENO_DIRECTORY}`, "", MS_BIND, 0], onError: "stop" },
];

/** Where the root image shows {@linkcode HOSTILE_DIRECTORY} of the initramfs. */
const HOSTILE_MOUNT = "/mnt";
const HOSTILE_DIRECTORY = "hostile";
const BIND_HOSTILE: Step[] = [
  { call: "mount", args: [`/${HOSTILE_DIRECTORY}`, `/root${HOSTILE_MOUNT}`, "", MS_BIND, 0], onError: "stop" },
];

function bootSteps(modules: readonly string[], { cached, hostile }: Pick<Boot, "cached" | "hostile">): Step[] {
  const main = `${hostile === undefined ? AGENT_DIRECTORY : HOSTILE_MOUNT}/main.js`;
  const command = [AGENT, ...agentArguments({ cached, main })];
  return [
    MOUNT_DEV,
    ...OPEN_CONSOLE,
    ...modules.flatMap(loadModule),
    ...OPEN_CONSOLE, // a virtio console is there only now
    // The disk's driver answers at once on every hypervisor tried; the retries are for a slow one: 1 s.
    { call: "mount", args: ["/dev/vda", "/root", "erofs", MS_RDONLY, 0], onError: "stop", retries: 100 },
    ...MOUNTS,
    ...(cached ? BIND_CACHE : []),
    ...(hostile === undefined ? [] : BIND_HOSTILE),
    ...SET_READ_AHEAD,
    ...SWITCH_ROOT,
    { call: "execve", args: [AGENT, command, AGENT_ENVIRONMENT], onError: "stop" },
  ];
}

/** Mounts the root image under a layer in memory and starts its own init. */
function systemSteps(modules: readonly string[], init: string): Step[] {
  const layers = "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work";
  return [
    MOUNT_DEV,
    ...OPEN_CONSOLE,
    ...modules.flatMap(loadModule),
    { call: "mount", args: ["/dev/vda", "/lower", "erofs", MS_RDONLY, 0], onError: "stop", retries: 100 },
    { call: "mount", args: ["tmpfs", "/upper", "tmpfs", 0, "mode=755"], onError: "stop" },
    ...["/upper/files", "/upper/work"].map((path): Step => {
      return { call: "mkdirat", args: [AT_FDCWD, path, 0o755], onError: "stop" };
    }),
    { call: "mount", args: ["overlay", "/root", "overlay", 0, layers], onError: "stop" },
    ...SWITCH_ROOT,
    { call: "execve", args: [init, [init], ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]], onError: "stop" },
  ];
}

/** The least that a boot can cost, to measure ours against: print, power off. */
function floorSteps(): Step[] {
  const message = new TextEncoder().encode("floor\n");
  return [
    MOUNT_DEV,
    { call: "close", args: [0], onError: "ignore" },
    { call: "openat", args: [AT_FDCWD, "/dev/console", O_RDWR, 0], onError: "stop", retries: 100 }, // gives fd 0
    { call: "write", args: [0, message, message.length], onError: "ignore" },
    POWER_OFF,
  ];
}

function entries(init: Uint8Array, files: readonly CpioEntry[]): CpioEntry[] {
  const directories = ["dev", "modules", "root", "cache", "lower", "upper"];
  return [
    ...directories.map((path): CpioEntry => ({ kind: "directory", path, mode: 0o755 })),
    { kind: "character device", path: "dev/console", mode: 0o600, major: 5, minor: 1 },
    { kind: "file", path: "init", mode: 0o755, data: init },
    ...files,
  ];
}

function cacheEntries(directory: string | undefined): CpioEntry[] {
  if (directory === undefined) return [];
  return CACHE_FILES.map((name) => {
    return { kind: "file", path: `cache/${name}`, mode: 0o644, data: Deno.readFileSync(`${directory}/${name}`) };
  });
}

/** The attacker's agent instead of the root image's; it is loaded as that one is. */
function hostileEntries(agent: string | undefined): CpioEntry[] {
  if (agent === undefined) return [];
  const loader = new URL("../accelerate/agent_loader/loader.js", import.meta.url);
  const file = (name: string, source: string | URL): CpioEntry => {
    return { kind: "file", path: `${HOSTILE_DIRECTORY}/${name}`, mode: 0o644, data: Deno.readFileSync(source) };
  };
  const directory: CpioEntry = { kind: "directory", path: HOSTILE_DIRECTORY, mode: 0o755 };
  return [directory, file("main.js", loader), file("agent.js", agent)];
}

async function main(args: string[]): Promise<void> {
  const option = (name: string) => {
    const index = args.indexOf(name);
    return index < 0 ? undefined : args.splice(index, 2)[1]!;
  };
  const architecture = option("--arch") as Architecture;
  const output = option("--output")!;
  const cache = cacheEntries(option("--cache"));
  const ownInit = option("--init");
  const busybox = option("--busybox");
  const hostile = option("--hostile");
  const floor = args[0] === "--floor";
  const modules = await Promise.all(
    args.slice(floor ? 1 : 0).map(async (path): Promise<CpioEntry> => {
      const name = path.slice(path.lastIndexOf("/") + 1);
      return { kind: "file", path: `modules/${name}`, mode: 0o644, data: withoutSignature(await Deno.readFile(path)) };
    }),
  );
  const paths = modules.map(({ path }) => `/${path}`);
  const cached = cache.length > 0;
  const init = busybox === undefined
    // Not an exit: the kernel's panic about it would push the reason out of the console's last lines.
    ? assembleInit(stepsOf({ paths, floor, ownInit, hostile, cached }), architecture, { giveUp: POWER_OFF })
    : new TextEncoder().encode(agentScript(paths, { cached }));
  const files = [...modules, ...cache, ...hostileEntries(hostile), ...busyboxEntries(busybox)];
  await Deno.writeFile(output, packCpio(entries(init, files)));
}

function agentScript(modules: readonly string[], { cached }: Pick<Boot, "cached">): string {
  return initScript({
    modules,
    cacheDirectory: cached ? DENO_DIRECTORY : undefined,
    command: [AGENT, ...agentArguments({ cached, main: `${AGENT_DIRECTORY}/main.js` })],
    environment: AGENT_ENVIRONMENT,
  });
}

function busyboxEntries(busybox: string | undefined): CpioEntry[] {
  if (busybox === undefined) return [];
  const directory: CpioEntry = { kind: "directory", path: "bin", mode: 0o755 };
  return [directory, { kind: "file", path: BUSYBOX, mode: 0o755, data: Deno.readFileSync(busybox) }];
}

interface Boot {
  /** Of the modules. */
  paths: readonly string[];
  floor: boolean;
  ownInit: string | undefined;
  /** File of the attacker's agent. */
  hostile: string | undefined;
  cached: boolean;
}

function stepsOf({ paths, floor, ownInit, ...boot }: Boot): Step[] {
  if (floor) return floorSteps();
  return ownInit === undefined ? bootSteps(paths, boot) : systemSteps(paths, ownInit);
}

if (import.meta.main) await main([...Deno.args]);
