/** The program in the container: it prints all that it sees, in sections that start with `== NAME`. @module */

/** The last line of {@linkcode CONTAINER_PROBE}. */
export const END = "== end";

/** Probe of every process, the first one and those of `exec`. The shell itself is what is looked at: `$$`. */
export const PROCESS_PROBE = `
busybox() { /bin/busybox "$@"; }
section() { echo "== $1"; }
section descriptors; busybox ls -l /proc/$$/fd
exec 2>&1
section environ; busybox tr '\\0' '\\n' < /proc/$$/environ
section cwd; busybox readlink /proc/$$/cwd
section cmdline; busybox tr '\\0' ' ' < /proc/$$/cmdline | busybox head -c20; echo
section ids; busybox id -u; busybox id -g; busybox id -G; umask
section status; busybox grep -E '^(${
  [
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "Sig(Pnd|Blk|Ign|Cgt)",
    "ShdPnd",
    "Cap(Inh|Prm|Eff|Bnd|Amb)",
    "NoNewPrivs",
    "Seccomp(_filters)?",
    "Speculation\\w+",
    "Cpus_allowed_list",
    "Mems_allowed_list",
    "THP_enabled",
  ].join("|")
}):' /proc/$$/status
section limits; busybox cat /proc/$$/limits
section session; busybox sed 's/.*) //' /proc/$$/stat | while read -r state ppid group session tty front rest; do
  [ $group = $$ ] && echo leads its group
  [ $session = $$ ] && echo leads its session
  [ $tty = 0 ] || echo has a terminal; [ $front = $$ ] && echo in front
done
section scheduling; busybox sed 's/.*) //' /proc/$$/stat | busybox cut -d' ' -f16,17,38,39; busybox ionice -p $$
section attributes
for f in oom_score_adj timerslack_ns coredump_filter personality loginuid sessionid attr/current timens_offsets \\
  uid_map gid_map setgroups cgroup comm; do echo $f: $(busybox cat /proc/$$/$f); done
section namespaces; for f in cgroup ipc mnt net pid time user uts; do echo $f: $(busybox readlink /proc/$$/ns/$f); done
section keys; busybox grep -o '_ses.*' /proc/keys
section terminal; busybox tty; busybox stty -a | busybox head -n1
section names; busybox hostname; busybox cat /proc/sys/kernel/domainname
`;

/** Probe of the first process besides. It then waits, and ends with 7 on SIGTERM. */
export const CONTAINER_PROBE = `${PROCESS_PROBE}
section mounts; busybox cat /proc/$$/mountinfo
section files; busybox find / \\( -path /proc -o -path /sys -o -path /bin -o -path /dev/mqueue -o -path /tmp/proc -o -path /out \\) -prune -o \\
  -exec busybox stat -c '%N %F %a %u %g %t,%T' {} +
section groups; busybox find /sys/fs/cgroup -maxdepth 1
section network; busybox cut -d: -f1 /proc/net/dev; busybox cat /proc/net/if_inet6 /proc/net/fib_trie
section sysctls; for f in kernel/shmmax kernel/msgmax kernel/sem kernel/shm_rmid_forced fs/mqueue/msg_max net/ipv4/ip_forward \\
  net/ipv4/ping_group_range net/ipv4/ip_unprivileged_port_start net/core/somaxconn; do
  echo $f: $(busybox cat /proc/sys/$f); done
section attempts
try() { "$@"; echo "$* = $?"; }
try busybox touch /written
try busybox touch /tmp/written
try busybox mkdir /tmp/made
try busybox chmod 4755 /tmp/written
try busybox chown 1:1 /tmp/written
try busybox mknod /tmp/null c 1 3
try busybox mknod /tmp/tty c 5 0
try busybox mknod /tmp/kmsg c 1 11
try busybox mknod /tmp/disk b 254 0
for f in /tmp/null /tmp/tty /tmp/kmsg /tmp/disk /dev/null /dev/zero /dev/full /dev/tty /dev/extra /dev/fuse; do
  try busybox dd if=$f of=/dev/null bs=1 count=0; try busybox dd if=/dev/null of=$f bs=1 conv=notrunc; done
try busybox mount -t tmpfs tmpfs /tmp
try busybox hostname other
try busybox chroot / /bin/true
try busybox unshare -U /bin/true
try busybox uname -m
try busybox sh -c 'renice -n -5 $$ 2>/dev/null'
try busybox sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
try busybox sh -c 'echo b > /proc/sysrq-trigger.not'
try busybox head -c1 /proc/kcore
try busybox head -c1 /proc/timer_list
try busybox ls /sys/firmware
echo ${END}
`;
