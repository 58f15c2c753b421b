/** Telling when the kernel killed a process of a cgroup for want of memory. @module */
import { readCgroupFile, readFlatKeyed, writeCgroupFile } from "../../linux/cgroup/file.ts";
import { eventfd, Fd, O_RDONLY } from "../../linux/io/fd.ts";
import { Inotify } from "../../linux/io/inotify.ts";
import { readable } from "../../linux/io/poll.ts";

export interface OomOptions {
  signal: AbortSignal;
}

/**
 * @param cgroup The group of the memory controller on v1.
 * @yields Once for one kill or for several at the same time. The end of the group ends it.
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/memory.html#oom-control
 */
export async function* watchOomV1(cgroup: string, { signal }: OomOptions): AsyncGenerator<void> {
  using event = eventfd();
  using control = Fd.open(`${cgroup}/memory.oom_control`, O_RDONLY);
  writeCgroupFile(cgroup, "cgroup.event_control", `${event.number} ${control.number}`);
  const counter = new Uint8Array(8);
  for (;;) {
    await readable(event, { signal });
    event.read(counter);
    // Removing the group signals as well.
    if (readCgroupFile(cgroup, "memory.oom_control") === undefined) return;
    yield;
  }
}

/**
 * @param cgroup A group on v2.
 * @yields Each time the count of kills has grown. The end of the group, or of all processes in it, ends it.
 */
export async function* watchOomV2(cgroup: string, { signal }: OomOptions): AsyncGenerator<void> {
  using inotify = new Inotify();
  const memory = inotify.watch(`${cgroup}/memory.events`, ["modify"]);
  const population = inotify.watch(`${cgroup}/cgroup.events`, ["modify"]);
  const kills = () => readFlatKeyed(cgroup, "memory.events").get("oom_kill") ?? 0n;
  let known = kills();
  for await (const { watch, kind } of inotify.events({ signal })) {
    if (kind === "ignored") return;
    const now = watch === memory || watch === population ? kills() : known;
    if (now > known) yield;
    known = now;
    if (watch === population && readFlatKeyed(cgroup, "cgroup.events").get("populated") !== 1n) return;
  }
}
