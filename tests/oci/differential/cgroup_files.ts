/** Reads the cgroup files of a process, of version 1 or 2. @module */
import { host } from "../runtime.ts";

const ROOT = "/sys/fs/cgroup";

/** Counters and events, and what tells processes. */
const NOISE =
  /usage|failcnt|\.procs|\.threads|tasks|event_control|pressure|\.peak|\.stat|force_empty|\.reset|release_agent/;

/** The settings of all groups of a process, one a line. */
export function cgroupFiles(pid: number): string {
  const groups = Deno.readTextFileSync(`/proc/${pid}/cgroup`).trim().split("\n");
  return groups.flatMap((line) => {
    const [, controller = "", path = ""] = /^\d+:(.*?):(.*)$/.exec(line) ?? [];
    const place = directory(controller) + path;
    // The group of everybody is not the container's.
    if (path === "/") return [line];
    return [line, ...settings(place).map((setting) => `${controller} ${setting}`)];
  }).join("\n");
}

function directory(controller: string): string {
  if (controller === "") return isDirectory(`${ROOT}/unified`) ? `${ROOT}/unified` : ROOT;
  return `${ROOT}/${controller.replace(/^name=/, "")}`;
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function settings(path: string): string[] {
  return [...Deno.readDirSync(path)].filter(({ isFile, name }) => isFile && !NOISE.test(name)).map(({ name }) => name)
    .sort().flatMap((name) => {
      const isSetting = name === "devices.list" || ((Deno.statSync(`${path}/${name}`).mode ?? 0) & 0o600) === 0o600;
      return isSetting ? [`${name}: ${readSetting(`${path}/${name}`)}`] : [];
    });
}

function readSetting(path: string): string {
  try {
    return Deno.readTextFileSync(path).trim().replaceAll("\n", ", ");
  } catch (error) {
    return (error as Error).name; // some can be read only if another one is set
  }
}

/**
 * The container's directories that are left in any hierarchy. They are taken away, and those above them, which runtimes
 * leave for the next container, so that the next case finds none.
 *
 * @param name A part of the path that no other container has.
 */
export async function cgroupRemains(name: string, path: string): Promise<string[]> {
  const found = await host("find", ROOT, "-depth", "-type", "d", "-path", `*/${name}*`);
  const directories = found.split("\n").filter((line) => line !== "");
  for (const directory of directories) Deno.removeSync(directory);
  return directories.filter((directory) => directory.endsWith(`/${path}`));
}
