/**
 * Volumes that the kubelet changes while their container runs, and whose programs wait for that by inotify(7): ConfigMaps,
 * Secrets, the downward API, and what is projected of them. A share tells nobody in the guest of a change, so the agent
 * copies the volume and keeps the copy up to date (`agent/storage/watched_copy.ts`).
 *
 * @module
 */
import { isErrno } from "../../linux/ffi/errno.ts";
import { pathOf } from "../../linux/io/fd.ts";
import { MS, parseMountOptions } from "../../linux/mount/mount_options.ts";
import { GUEST_PATH, STORAGE_DRIVER } from "../../agent_api/names.ts";
import { shareVolume } from "./share.ts";
import type { BindMount, Volume, VolumeHandler } from "./volume.ts";

/** Where the kubelet makes them: `<pod>/volumes/kubernetes.io~configmap/<name>`. A part of one (`subPath`) never changes. */
const WATCHED = /\/volumes\/kubernetes\.io~(?:configmap|secret|downward-api|projected)\/[^/]+$/;
/** Link to the content, which an update moves. */
const DATA = "..data";

export const watchableVolume: VolumeHandler = {
  name: "watchable",
  matches: ({ mount, source, maps }) =>
    source.kind === "directory" && WATCHED.test(source.path) && maps === undefined &&
    isReadOnly(mount.options ?? []) && hasContent(source),
  async prepare(bind, context) {
    const shared = await shareVolume.prepare(bind, context);
    return {
      ...shared,
      name: this.name,
      attach: async (machine, options) => copied(await shared.attach(machine, options)),
      [Symbol.asyncDispose]: () => shared[Symbol.asyncDispose](),
    };
  },
};

/** Names one copy for all containers that have the volume. */
function copied(part: Awaited<ReturnType<Volume["attach"]>>): Awaited<ReturnType<Volume["attach"]>> {
  const source = part.mount.source!;
  const mountPoint = `${GUEST_PATH.watchable}/${source.slice(GUEST_PATH.passthrough.length + 1).replaceAll("/", "-")}`;
  const storage = { driver: STORAGE_DRIVER.watchableBind, source, fstype: "bind", options: ["bind", "ro"], mountPoint };
  return { ...part, mount: { ...part.mount, source: mountPoint }, storages: [...part.storages ?? [], storage] };
}

/** Nobody in the guest may write to what is a copy. */
function isReadOnly(options: readonly string[]): boolean {
  return (parseMountOptions(options).flags & MS.RDONLY) !== 0;
}

function hasContent({ fd }: BindMount["source"]): boolean {
  try {
    return Deno.lstatSync(`${pathOf(fd)}/${DATA}`).isSymlink;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
