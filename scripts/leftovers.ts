/** Finds what sandboxes and tests leave behind on a machine. @module */

/** Command lines of what a sandbox runs, and of its tests' daemons. */
const PROCESSES = /qemu-system|virtiofsd|vhost-device-vsock|containerd-shim-kata|kata-agent|containerd .*\/tmp\/kata/;
const MOUNTS = /\/kata|\/tmp\/(oci|runk)-|io\.containerd\.runtime/;
const DIRECTORIES: { path: string; entries: RegExp }[] = [
  { path: "/run/kata", entries: /./ },
  { path: "/run/kata-containers/shared/sandboxes", entries: /./ },
  { path: "/run/containerd/s", entries: /./ },
  { path: "/run/containerd/fifo", entries: /./ },
  { path: "/tmp", entries: /^(kata|oci|runk)-/ },
];

/** Variable that marks what a run has started: processes hand it on to all that they start for a sandbox. */
export const RUN_MARK = "KATA_RUN";

/**
 * One line for each, in no order: process, mount, file or cgroup.
 *
 * @param mark Value of {@linkcode RUN_MARK}; processes without it are somebody else's, as others may run the same programs.
 */
export function leftovers(mark?: string): string[] {
  return [...processes(mark), ...mounts(), ...files(), ...cgroups()];
}

/** Lists lines that are there now and were not there before. */
export function added(before: readonly string[], after: readonly string[]): string[] {
  return after.filter((line) => !before.includes(line)).sort();
}

function processes(mark?: string): string[] {
  const isOurs = (pid: string) =>
    mark === undefined || read(`/proc/${pid}/environ`).split("\0").includes(`${RUN_MARK}=${mark}`);
  return list("/proc").filter((name) => /^\d+$/.test(name) && isOurs(name)).flatMap((pid) => {
    const command = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
    return PROCESSES.test(command) ? [`process ${pid}: ${command.slice(0, 120)}`] : [];
  });
}

function mounts(): string[] {
  return read("/proc/self/mountinfo").split("\n").map((line) => line.split(" ")[4] ?? "")
    .filter((path) => MOUNTS.test(path)).map((path) => `mount ${path}`);
}

function files(): string[] {
  return DIRECTORIES.flatMap(({ path, entries }) =>
    list(path).filter((name) => entries.test(name)).map((name) => `file ${path}/${name}`)
  );
}

/** containerd's containers sit in a cgroup named after their namespace, in each hierarchy on v1. */
function cgroups(): string[] {
  return ["/sys/fs/cgroup", ...list("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}`)].flatMap((root) =>
    ["default", "kata"].flatMap((group) =>
      Deno.lstatSync(root).isDirectory
        ? directories(`${root}/${group}`).map((name) => `cgroup ${root}/${group}/${name}`)
        : []
    )
  );
}

function directories(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  } catch {
    return [];
  }
}

function list(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // a process that has ended
  }
}
