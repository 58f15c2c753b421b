/**
 * Kubernetes' emptyDir: a directory that the containers of a pod share and that goes with the pod. The kubelet makes it on
 * the host. For one in memory the guest makes a tmpfs with the same limit, owner and mode, as what is in memory belongs to
 * the pod's. One on disk is used as it is, where the kubelet sees how large it becomes; or it is a directory in the pod's
 * own root file system (B15).
 *
 * @module
 */
import { pathOf } from "../../linux/io/fd.ts";
import type { MountInfo } from "../../linux/mount/mountinfo.ts";
import { DRIVER_OPTION, GUEST_PATH, STORAGE_DRIVER, STORAGE_OPTION } from "../../agent_api/names.ts";
import { mappedId } from "./mapped.ts";
import { type BindMount, type OwnerMaps, readyVolume, refuse, type VolumeHandler } from "./volume.ts";
import type { Storage } from "../../agent_api/storage.ts";

/** Where the kubelet makes them: `<pod>/volumes/kubernetes.io~empty-dir/<name>`, and the parts that a container mounts. */
const EMPTY_DIR = /([^/]*)\/volumes\/kubernetes\.io~empty-dir\/([^/]+)(\/.*)?$/;

const KIB_OF_MIB = 1024;

/** The part of an emptyDir that a container mounts. */
export interface EmptyDir {
  /** Unique within its pod. */
  name: string;
  /** One component of a path, unique among all on the host: a hostPath may lead to another pod's. */
  key: string;
  /** A part of it (`subPath`), such as `/a/b`; empty for all of it. */
  path: string;
  inMemory: boolean;
  /** Size limit of the emptyDir as tmpfs shows it, in KiB with a `k`; undefined if it has none. */
  size: string | undefined;
  /** Of huge pages, which lie in a file system of their own. */
  isHuge?: boolean;
}

/**
 * A mount's source is an emptyDir's directory, or, for a `subPath`, a bind mount elsewhere of a directory below it; only
 * the mount table tells that.
 *
 * @param source Absolute path, without links. @param mounts The host's mount table.
 */
export function findEmptyDir(source: string, mounts: readonly MountInfo[]): EmptyDir | undefined {
  const at = mountOf(source, mounts);
  if (at === undefined) return undefined;
  const within = join(at.root, source.slice(at.mountPoint === "/" ? 0 : at.mountPoint.length));
  if (at.type === "hugetlbfs") {
    return named(join(at.mountPoint, within), at, { inMemory: true, size: undefined, isHuge: true });
  }
  if (at.type !== "tmpfs") return named(within, at, { inMemory: false, size: undefined });
  const whole = mounts.find((mount) =>
    mount.major === at.major && mount.minor === at.minor && mount.root === "/" && EMPTY_DIR.exec(mount.mountPoint)
  );
  // A directory for one on disk may be on a tmpfs as well.
  if (whole === undefined) return named(within, at, { inMemory: false, size: undefined });
  const size = whole.superOptions.find((option) => option.startsWith("size="))?.slice("size=".length);
  return named(join(whole.mountPoint, within), at, { inMemory: true, size });
}

/** @param file Path on the host, or within its file system. */
function named(
  file: string,
  { major, minor }: MountInfo,
  rest: Omit<EmptyDir, "name" | "path" | "key">,
): EmptyDir | undefined {
  const [, pod, name, path = ""] = EMPTY_DIR.exec(file) ?? [];
  if (name === undefined) return undefined;
  // One in memory is a file system of its own; those on disk lie in one.
  const key = [name, ...(rest.inMemory ? [] : [pod]), major, minor].join("-");
  return { name, path, key, ...rest };
}

/** Of mounts on the same point, the last one is seen. */
function mountOf(path: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  const above = mounts.filter(({ mountPoint: point }) => `${path}/`.startsWith(point === "/" ? "/" : `${point}/`));
  const longest = Math.max(...above.map(({ mountPoint }) => mountPoint.length));
  return above.findLast(({ mountPoint }) => mountPoint.length === longest);
}

function join(directory: string, path: string): string {
  return `${directory}/${path}`.replaceAll(/\/+/g, "/").replace(/(.)\/$/, "$1");
}

/** Where the guest is to have none of its own, an emptyDir on disk is a directory like others. */
export const emptyDirVolume: VolumeHandler = {
  name: "empty_dir",
  matches(bind, { config }) {
    const found = emptyDirOf(bind);
    if (found === undefined || found.inMemory) return found !== undefined;
    // The guest could not map the owners of one in its root file system.
    const { disable_guest_empty_dir, emptydir_mode } = config.runtime;
    return !(disable_guest_empty_dir && emptydir_mode === "shared-fs") && bind.maps === undefined;
  },
  prepare(bind) {
    const found = emptyDirOf(bind)!;
    const { mount, source, maps } = bind;
    if (found.path !== "" && found.inMemory && maps !== undefined) {
      throw refuse(mount, "it is a part of an emptyDir in memory, whose owners the guest cannot map");
    }
    if (found.isHuge) throw refuse(mount, "it is an emptyDir of huge pages, which the guest has not reserved");
    // Of a part, the whole has the limit; what the kubelet made for the part is made again in it. Where the whole ends
    // and the part begins is told, as what lies in the whole is its containers' to change.
    const whole = Deno.statSync(parentBy(source.path, found.path));
    const part = found.path === "" ? undefined : Deno.statSync(pathOf(source.fd));
    return {
      ...readyVolume(this.name, { mount }),
      async attach({ podRoot, memoryMiB }) {
        const root = found.inMemory ? `${GUEST_PATH.ephemeral}/${found.key}` : `${podRoot}/local/${found.key}`;
        const size = found.size && isLimit(found.size, await memoryMiB()) ? found.size : undefined;
        const storages = [wholeStorage({ ...found, size }, { root, info: whole, maps })];
        if (part !== undefined) storages.push(partStorage(root, found.path.slice(1), part));
        return { mount: { ...mount, source: `${root}${found.path}` }, storages };
      },
    };
  },
};

function emptyDirOf({ source }: BindMount): EmptyDir | undefined {
  return source.kind === "directory" ? findEmptyDir(source.path, source.table()) : undefined;
}

/**
 * Whether a size binds its writers in a machine. The kubelet gives an emptyDir that has no limit the size of the node,
 * up to which a guest would fill until its kernel ends all in it. Without a size, half of the memory is the limit.
 */
function isLimit(size: string, memoryMiB: number): boolean {
  const kib = /^(\d+)k$/.exec(size)?.[1];
  return kib === undefined || Number(kib) < memoryMiB * KIB_OF_MIB;
}

/** Where the whole is on the host, if the part is seen below it; else the part stands for it. */
function parentBy(source: string, path: string): string {
  return path !== "" && source.endsWith(path) ? source.slice(0, -path.length) : source;
}

function wholeStorage(
  { inMemory, size }: EmptyDir,
  { root, info, maps }: { root: string; info: Deno.FileInfo; maps: OwnerMaps | undefined },
): Storage {
  if (!inMemory) return directoryStorage(root, info);
  return {
    driver: STORAGE_DRIVER.ephemeral,
    source: "tmpfs",
    fstype: "tmpfs",
    options: [...memoryOwnership(info, maps), ...(size === undefined ? [] : [`size=${size}`])],
    mountPoint: root,
    shared: true,
  };
}

function directoryStorage(mountPoint: string, info: Deno.FileInfo): Storage {
  return { driver: STORAGE_DRIVER.local, source: "local", options: ownership(info), mountPoint, shared: true };
}

function partStorage(root: string, part: string, info: Deno.FileInfo): Storage {
  const driverOptions = [`${DRIVER_OPTION.volumePart}${part}`];
  return { ...directoryStorage(`${root}/${part}`, info), driverOptions };
}

/** A tmpfs of the guest is not mapped: it belongs to those that the owners would be seen as. */
function memoryOwnership(info: Deno.FileInfo, maps: OwnerMaps | undefined): string[] {
  if (maps === undefined) return ownership(info);
  const [uid, gid] = [mappedId(info.uid ?? 0, maps.uidMappings), mappedId(info.gid ?? 0, maps.gidMappings)];
  const owner = [...(uid < 0 ? [] : [`uid=${uid}`]), ...(gid < 0 ? [] : [`gid=${gid}`])];
  return [...ownership({ ...info, gid: 0 }), ...owner];
}

/** The kubelet gives the directory to the pod's group, if it has one. */
function ownership({ mode, gid }: Deno.FileInfo): string[] {
  const options = [`${STORAGE_OPTION.mode}${((mode ?? 0o777) & 0o7777).toString(8)}`];
  return gid ? [...options, `${STORAGE_OPTION.fsGroup}${gid}`] : options;
}
