/** Finds leftovers of a target: mounts, processes, groups, directories of containers. For targets in a box. @module */
import { readMountInfo } from "../../../src/linux/mount/mountinfo.ts";
import { exists } from "../../../src/base/files.ts";
import { createCgroup } from "../../../src/linux/cgroup/cgroup.ts";
import { cgroupHierarchies, enableControllers } from "./box.ts";
import { hold } from "./target.ts";

const SETTLE_MS = 10_000;
const LOOK_EVERY_MS = 20;
/** Descriptors that the runtime itself may open on its way. */
const DESCRIPTORS = 32;
/** The parent of groups in the inputs. Parents are an engine's, and stay. */
const PARENT = "kata-fuzz";
const RUN = "/run";
/** The agent's, of which there is one in each guest; directories above storages stay in them. */
const STAYS = [`${RUN}/kata-containers`, `${RUN}/sandbox-ns`, `${RUN}/kata-agent`];

export interface WatchOptions {
  /** How long things may take to go. */
  settleMs?: number;
  /** Groups above those of the input, such as `kata-fuzz/a`. Whoever names them has made them, and keeps them. */
  parents?: readonly string[];
}

/** The groups above that of a container, as its configuration has it. */
export function parentGroups(configuration: string): string[] {
  const path = /"cgroupsPath":("(?:[^"\\]|\\.)*")/.exec(configuration)?.[1];
  const parts = path === undefined
    ? []
    : (JSON.parse(path) as string).split(/[/:]/).filter((part) => !/^\.?$/.test(part));
  return parts.slice(0, -1).map((_, at) => parts.slice(0, at + 1).join("/"));
}

let firstDescriptors: number | undefined;

/** A function that waits until all is as it is now. @throws {Broken} It does not become so. */
export function watchMachine({ settleMs = SETTLE_MS, parents: own = [] }: WatchOptions = {}): () => Promise<void> {
  for (const directory of STAYS) Deno.mkdirSync(directory, { recursive: true });
  const parents = cgroupHierarchies().map((hierarchy) => `${hierarchy}/${PARENT}`);
  for (const parent of parents.filter((parent) => !exists(parent))) makeParent(parent);
  const isOurs = (thing: string) => own.some((parent) => thing.startsWith("group ") && thing.endsWith(`/${parent}`));
  const difference = () => changes(before, census(parents)).filter((thing) => !isOurs(thing));
  const before = census(parents);
  firstDescriptors ??= countDescriptors();
  return async () => {
    let more = difference();
    for (const end = performance.now() + settleMs; more.length > 0 && performance.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      more = difference();
    }
    hold(more.length === 0, `nothing stays behind: ${more.join(", ")}`);
    const descriptors = countDescriptors() - firstDescriptors!;
    hold(descriptors <= DESCRIPTORS, `descriptors are closed: ${descriptors} more than at first`);
  };
}

function makeParent(parent: string): void {
  createCgroup(parent);
  for (const group of [parent.slice(0, parent.lastIndexOf("/")), parent]) enableControllers(group);
}

/** Names of all there is, with their counts. */
function census(parents: readonly string[]): Map<string, number> {
  const things = [
    ...readMountInfo().map(({ type, mountPoint }) => `mount of ${type} at ${mountPoint}`),
    ...namesIn("/proc").filter((name) => /^\d+$/.test(name)).flatMap(processOf),
    ...parents.flatMap(groupsBelow).map((group) => `group ${group}`),
    ...namesIn(RUN).map((name) => `${RUN}/${name}`),
  ];
  const counts = new Map<string, number>();
  for (const thing of things) counts.set(thing, (counts.get(thing) ?? 0) + 1);
  return counts;
}

function changes(before: Map<string, number>, now: Map<string, number>): string[] {
  const more = [...now].filter(([thing, count]) => count > (before.get(thing) ?? 0)).map(([thing]) => thing);
  const fewer = [...before].filter(([thing, count]) => count > (now.get(thing) ?? 0) && !thing.startsWith("process"));
  return [...more, ...fewer.map(([thing]) => `no ${thing} any more`)];
}

function processOf(pid: string): string[] {
  try {
    return [`process ${Deno.readTextFileSync(`/proc/${pid}/comm`).trim()} ${pid}`];
  } catch {
    return []; // ended in between
  }
}

function groupsBelow(directory: string): string[] {
  const inner = entriesIn(directory).filter(({ isDirectory }) => isDirectory).map(({ name }) => `${directory}/${name}`);
  return [...inner, ...inner.flatMap(groupsBelow)];
}

/** Our own. */
export function countDescriptors(): number {
  return namesIn("/proc/self/fd").length;
}

function namesIn(directory: string): string[] {
  return entriesIn(directory).map(({ name }) => name);
}

function entriesIn(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch {
    return [];
  }
}
