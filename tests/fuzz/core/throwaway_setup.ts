/** The shell's part of making a root to throw away, see `throwaway.ts`. @module */

/** Moves itself into the groups, which are the arguments before `--`. */
export const ENTER = `set -e
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done
shift
exec "$@"`;

/**
 * Makes the kernel's own switches in a proc read-only, which is its argument. Those that a namespace has of its own are left
 * out one by one: each namespace sees other files of their names, on which nothing is mounted.
 */
export const GUARD = "/usr/sbin/kata-fuzz-guard";
const GUARD_SCRIPT = `#!/bin/sh
set -e
cd "\\$1"
for path in bus fs irq sysrq-trigger sys/* sys/kernel/*; do
  case \\$path in
  sys/net | sys/user | sys/kernel | sys/kernel/shm* | sys/kernel/msg* | sys/kernel/sem* | sys/kernel/*name) ;;
  *) [ ! -e \\$path ] || mount -o bind,ro \\$path \\$path ;;
  esac
done`;

/** The engine, as its portable file runs it; that cannot unpack itself below a read-only root. */
export const RUNK = "/usr/sbin/kata-fuzz-runk";
export const DIST = new URL("../../../dist/", import.meta.url).pathname;
const LAUNCH_RUNK = `#!/bin/sh
DENO_DIR=/tmp/deno-runk exec ${DIST}program/launcher ${DIST}program deno run --quiet -A --unstable-vsock --no-check \\
  --no-lock --no-config --cached-only ${DIST}program/runk.js "\\$@"`;

/**
 * Arguments: the root's name, names of two programs, the working directory, then mounts of hierarchies as pairs of name and
 * options, `--`, and the command. The upper is on a file system in memory, mounted over /run in these namespaces alone.
 */
export const SETUP = `set -e
name=$1 guard=$2 runk=$3 cwd=$4; shift 4
mount -t tmpfs -o size=4g,mode=755 "$name" /run
[ "$(stat -f -c %T /run)" = tmpfs ]
mkdir -p "/run/$name/upper" "/run/$name/work" /run/root
mount -t overlay -o "lowerdir=/,upperdir=/run/$name/upper,workdir=/run/$name/work" "$name" /run/root
cd /run/root
mount -t proc proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
cat >".$guard" <<END
${GUARD_SCRIPT}
END
cat >".$runk" <<END
${LAUNCH_RUNK}
END
chmod 755 ".$guard" ".$runk"
".$guard" /run/root/proc
mount -t tmpfs -o mode=755 "$name" sys/fs/cgroup
while [ "$1" != -- ]; do
  mkdir "sys/fs/cgroup/$1"
  case $2 in unified) mount -t cgroup2 cgroup2 "sys/fs/cgroup/$1" ;; *) mount -t cgroup -o "$2" cgroup "sys/fs/cgroup/$1" ;; esac
  shift 2
done
shift
mount -t tmpfs -o mode=755,size=1m "$name" dev
while read -r node major minor; do mknod -m 666 "dev/$node" c "$major" "$minor"; done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=1777 "$name" dev/shm
mount -t tmpfs -o mode=755 "$name" run
mount -t tmpfs -o mode=1777 "$name" tmp
mkdir -p /run/root/run/old
pivot_root . run/old
cd /
umount -l /run/old
rmdir /run/old
cd "$cwd"
ip link set lo up || true
set +e
"$@"
exit $?`;
