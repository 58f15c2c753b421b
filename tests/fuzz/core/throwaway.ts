/**
 * A root to throw away on this machine, for amounts that an emulated machine is too slow for: namespaces of its own, and as
 * the root an overlay whose upper is in memory, which is all that writing and removing reach. The real root is detached.
 * Groups bound it: no device that stands for hardware can be opened, and no process leaves them. Started by hand alone.
 *
 * What it does not bound: a proc, sysfs or devtmpfs that is mounted anew in it is the kernel's own, with all its switches.
 * No target is made to write there; `scripts/fuzz --vm` is for those that would be.
 *
 * @module
 */
import { errorChain } from "../../../src/base/error.ts";
import { createCgroup, parseCgroupMembership, removeCgroup } from "../../../src/linux/cgroup/cgroup.ts";
import { hasCgroupFile, writeCgroupFile } from "../../../src/linux/cgroup/file.ts";
import { type MountInfo, parseMountInfo, readMountInfo } from "../../../src/linux/mount/mountinfo.ts";
import { DIST, ENTER, GUARD, RUNK, SETUP } from "./throwaway_setup.ts";

/** Begins the name of each such root, which all of its file systems have as their source. */
const PREFIX = "kata-fuzz-throwaway-";

/** Rights by which a program would change the machine, whatever it sees of it. */
const CUT = ["sys_module", "sys_boot", "sys_rawio", "sys_time", "syslog", "wake_alarm", "block_suspend"] as const;
const CUT_BITS = [16, 22, 17, 25, 34, 35, 36] as const;

/** Nodes of all kinds may be made, as engines do it; opened are null, zero, full, random, urandom, tty, ptmx and pts. */
const DEVICES = [
  "b *:* m",
  "c *:* m",
  ...["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "136:*"].map((numbers) => `c ${numbers} rwm`),
];
/** Lets none of them make the node of a disk. */
const BEGIN = new URL("throwaway_begin.ts", import.meta.url).pathname;
const MOST_PROCESSES = "4096";
const MOST_MEMORY = String(8 * 2 ** 30);

const NAMESPACES = ["--mount", "--propagation", "private", "--pid", "--net", "--ipc", "--uts", "--cgroup"];

/**
 * Runs a program, whose name is a path, in such a root. What it writes comes through a pipe: no file of ours is open in it.
 *
 * @returns Its exit status.
 */
export async function runInThrowawayRoot(
  command: readonly string[],
  { onText }: { onText: (text: Uint8Array) => void },
): Promise<number> {
  if (Deno.env.has("CI")) throw new Error("Cannot make a root to throw away: it is made by hand alone, and this is CI");
  const name = `${PREFIX}${crypto.randomUUID()}`;
  await using groups = new Groups(name);
  const words = [
    ...groups.inner,
    "--",
    "unshare",
    ...NAMESPACES,
    "--fork",
    "--kill-child",
    "sh",
    "-c",
    SETUP,
    "sh",
    name,
    GUARD,
    RUNK,
    Deno.cwd(),
  ];
  const cut = [
    "setpriv",
    `--bounding-set=${CUT.map((right) => `-${right}`).join()}`,
    "--",
    Deno.execPath(),
    "run",
    "-A",
    "--no-lock",
    BEGIN,
  ];
  await using child = new Deno.Command("sh", {
    args: ["-c", ENTER, "sh", ...words, ...groups.mounts, "--", ...cut, ...command],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { RUNTIME: RUNK, NO_COLOR: "1" },
  }).spawn();
  const forward = async (stream: ReadableStream<Uint8Array>) => {
    for await (const piece of stream) onText(piece);
  };
  await Promise.all([forward(child.stdout), forward(child.stderr)]);
  return (await child.status).code;
}

/**
 * Attacks tried in such a root before anything else is. Arguments: a file, a process, and the numbers of the root's
 * disk.
 */
const ATTACK = `
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name: done"; else echo "$name: refused"; fi; }
try remove rm -rf "$1"
try kill kill -0 "$2"
try disk mknod /tmp/disk b $3 $4
try memory dd if=/dev/mem of=/dev/null count=1
try widen sh -c 'echo a >/sys/fs/cgroup/devices/devices.allow'
try sysfs touch /sys/x
try sysctl sh -c 'cat /proc/sys/kernel/panic >/proc/sys/kernel/panic'
try clock date -s @0
try log dmesg`;
const HELD = [
  "remove: done",
  ...["kill", "disk", "memory", "widen", "sysfs", "sysctl", "clock", "log"].map((name) => `${name}: refused`),
];

/**
 * Makes a root only to attack what is outside of it.
 *
 * @throws {Error} An attack came through, or did not take place.
 */
export async function proveThrowawayRoot(): Promise<void> {
  // Beside our own files, so on what becomes the lower.
  const canary = Deno.makeTempDirSync({ dir: DIST, prefix: "fuzz-canary-" });
  using stack = new DisposableStack();
  stack.defer(() => Deno.removeSync(canary, { recursive: true }));
  Deno.writeTextFileSync(`${canary}/file`, "alive");
  const { major, minor } = readMountInfo().findLast(({ mountPoint }) => mountPoint === "/")!;
  let text = "";
  const words = [canary, Deno.pid, major, minor].map(String);
  await runInThrowawayRoot(["/bin/sh", "-c", `mknod /dev/mem c 1 1${ATTACK}`, "sh", ...words], {
    onText: (piece) => text += new TextDecoder().decode(piece),
  });
  const isAlive = Deno.readTextFileSync(`${canary}/file`) === "alive";
  if (isAlive && text.trim() === HELD.join("\n")) return;
  throw new Error(
    `Cannot use a root to throw away on this machine: ${isAlive ? text : "what was removed in it is gone"}`,
  );
}

/** Groups for one root: the outer ones hold the limits, which a process in the inner ones cannot lift. */
class Groups implements AsyncDisposable {
  readonly #outer: readonly string[];
  /** Pairs of a name and options of a mount. */
  readonly mounts: readonly string[];

  constructor(name: string) {
    const own = parseCgroupMembership(Deno.readTextFileSync("/proc/self/cgroup"));
    const hierarchies = readMountInfo().filter(({ type }) => type === "cgroup" || type === "cgroup2").map((mount) => {
      const options = mount.superOptions.filter((word) => own.some(({ controllers }) => controllers.includes(word)));
      const isUnified = mount.type === "cgroup2";
      const path = own.find(({ controllers }) =>
        isUnified ? controllers.length === 0 : controllers.includes(options[0]!)
      )
        ?.path ?? "/";
      return { mount, options: isUnified ? "unified" : mountOptions(options), outer: below(mount, path, name) };
    });
    this.#outer = hierarchies.map(({ outer }) => outer);
    for (const outer of this.#outer) createCgroup(outer);
    this.#limit();
    for (const inner of this.inner) createCgroup(inner);
    this.mounts = hierarchies.flatMap(({ mount, options }) => [mount.mountPoint.replace(/.*\//, ""), options]);
  }

  get inner(): readonly string[] {
    return this.#outer.map((outer) => `${outer}/inner`);
  }

  /** @throws {Error} No hierarchy bounds devices, as on a machine of v2 alone. */
  #limit(): void {
    const devices = this.#outer.find((group) => hasCgroupFile(group, "devices.deny"));
    if (devices === undefined) {
      throw new Error("Cannot make a root to throw away: no device controller of cgroup v1 is here");
    }
    writeCgroupFile(devices, "devices.deny", "a");
    for (const rule of DEVICES) writeCgroupFile(devices, "devices.allow", rule);
    for (const group of this.#outer) {
      if (hasCgroupFile(group, "pids.max")) writeCgroupFile(group, "pids.max", MOST_PROCESSES);
      if (hasCgroupFile(group, "memory.use_hierarchy")) writeCgroupFile(group, "memory.use_hierarchy", "1");
      if (hasCgroupFile(group, "memory.limit_in_bytes")) writeCgroupFile(group, "memory.limit_in_bytes", MOST_MEMORY);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const outer of this.#outer) await removeCgroup(outer);
  }
}

function mountOptions(controllers: readonly string[]): string {
  return controllers.some((word) => word.startsWith("name=")) ? ["none", ...controllers].join() : controllers.join();
}

function below({ mountPoint }: MountInfo, path: string, name: string): string {
  return `${mountPoint}${path === "/" ? "" : path}/${name}`;
}

/**
 * File systems in such a root beside the overlay and those in memory: nothing of a disk, and nothing of another
 * machine.
 */
const KERNEL_TYPES: readonly string[] = ["proc", "sysfs", "devpts", "cgroup", "cgroup2"];

/** Why this is no root to throw away; undefined if it is one. What cannot be read is a reason. */
export function missingForThrowawayRoot({ proc = "/proc" }: { proc?: string } = {}): string | undefined {
  try {
    const mounts = parseMountInfo(Deno.readTextFileSync(`${proc}/self/mountinfo`));
    const root = mounts.findLast(({ mountPoint }) => mountPoint === "/");
    const name = root?.source ?? "";
    if (root?.type !== "overlay" || !name.startsWith(PREFIX)) return "its root is not one to throw away";
    if (!root.superOptions.includes(`upperdir=/run/${name}/upper`)) return "its root is written to elsewhere";
    const isOurs = (mount: MountInfo) =>
      mount === root || KERNEL_TYPES.includes(mount.type) || (mount.type === "tmpfs" && mount.source === name);
    const foreign = mounts.find((mount) => !isOurs(mount));
    if (foreign !== undefined) return `"${foreign.mountPoint}" in it is not of it`;
    const groups = parseCgroupMembership(Deno.readTextFileSync(`${proc}/self/cgroup`));
    if (groups.some(({ path }) => path !== "/")) return "its groups are the machine's";
    const [, bounding] = /^CapBnd:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync(`${proc}/self/status`)) ?? [];
    const bits = BigInt(`0x${bounding ?? "f".repeat(16)}`);
    return CUT_BITS.some((bit) => (bits >> BigInt(bit)) & 1n) ? "it has rights over the machine" : undefined;
  } catch (error) {
    return `it cannot be told: ${errorChain(error)}`;
  }
}
