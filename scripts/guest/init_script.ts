/**
 * The initramfs's /init as a script of busybox's shell, for a build without `accelerate/init_program`: the same steps, some
 * hundred milliseconds later under software emulation.
 *
 * @module
 */

export interface InitScript {
  /** Paths of the kernel modules, in load order. */
  modules: readonly string[];
  /** Directory below the root image's that shows the initramfs's /cache; undefined if that has none. */
  cacheDirectory: string | undefined;
  /** Of the agent, its path first. */
  command: readonly string[];
  /** `NAME=VALUE`, all that the agent gets. */
  environment: readonly string[];
}

/** Where the script finds busybox. */
export const BUSYBOX = "bin/busybox";

/** @returns The script. Nothing of the words that are given is expanded by the shell. */
export function initScript({ modules, cacheDirectory, command, environment }: InitScript): string {
  const load = modules.map((path) => `$b insmod ${quote(path)}; $b rm ${quote(path)}`);
  const cache = cacheDirectory === undefined ? [] : [
    `must mkdir -p ${quote(`/root${cacheDirectory}`)}`,
    `must mount -o bind /cache ${quote(`/root${cacheDirectory}`)}`,
  ];
  return `#!/${BUSYBOX} sh
b=/${BUSYBOX}
must() {
  $b "$@" && return
  echo "init: Cannot $*"
  exec $b poweroff -f
}
console() {
  [ ! -c /dev/console ] || exec 0<>/dev/console 1>&0 2>&0
} 2>/dev/null
must mount -t devtmpfs -o nosuid devtmpfs /dev
console
${load.join("\n")}
console # a virtio console is there only now
tries=0
until $b mount -t erofs -o ro /dev/vda /root 2>/dev/null || [ $tries = 100 ]; do
  tries=$((tries + 1))
  $b usleep 10000
done
[ $tries != 100 ] || must mount -t erofs -o ro /dev/vda /root
must mount -t proc -o nosuid,nodev,noexec proc /root/proc
must mount -t sysfs -o nosuid,nodev,noexec sysfs /root/sys
must mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /root/run
must mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /root/tmp
${cache.join("\n")}
must mount -o move /dev /root/dev
cd /root
must mount -o move . /
exec $b env -i ${environment.map(quote).join(" ")} $b chroot . ${command.map(quote).join(" ")}
`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
