# shellcheck shell=sh
# Kata Containers as one portable file: a small executable, which holds this script, then a compressed tar of the Deno
# binary and the bundled program. The tar is unpacked once, into a directory named by its digest; from then on the
# executable runs what is there (see portable_head.ts), and calls this script, by `sh -c`, only if it cannot: nothing is
# unpacked yet, the tree is going, somebody could have exchanged it, no program may be run there, or the address space has
# a limit.
#
#   $0: the file    $1: the program in the tree    $2: Deno's arguments before it    then the caller's arguments
#
# A build without the executable begins with the few lines that give this script its arguments (see plainHead() there).
# The environment is that of the program already, but for DENO_DIR, which goes by the tree.
#
# Trees of other builds go when this one is unpacked, unless something runs in them or began to in the last minutes. (A
# runk, whose path nobody sees, needs nothing of its tree any more.) Whoever starts marks its tree as used and then looks
# whether it is going; whoever removes one says so and then looks at the mark: so at least one of two sees the other.

# Whether only root and we can exchange the directory $1, as far as it is there, and the files of it that follow. It is the
# same look as that of the executable: each on the way belongs to the owner of / or to us, is no link, and nobody else may
# write to it; a directory with the sticky bit may be open, as nobody can exchange there what is not his.
kata_trusts() {
  k=$1
  shift
  for n in "$@"; do set -- "$@" "$k/$n" && shift; done
  while [ -n "$k" ]; do set -- "$k" "$@" && k=${k%/*}; done
  stat -c '%u %A' -- / "$@" 2>/dev/null | {
    read -r root k || exit 1
    while [ -n "$k" ]; do
      case $k in
        d????-??-? | d????????[tT] | -????-??-?) ;;
        *) exit 1 ;;
      esac
      # What is not there has nothing below it either.
      read -r n k || exit 0
      [ "$n" = "$root" ] || [ -O "$1" ] || exit 1
      shift
    done
    exit 1
  }
}
# Makes the tree $d. Its status is 126 where no program can be run.
kata_unpack() (
  umask 022
  t=$d.$$
  mkdir -p "${d%/*}" 2>/dev/null && kata_trusts "${d%/*}" || return 1
  kata_sweep
  # The name may be taken, as in a container we have the same number each time, or the tree be swept before we hold it.
  until mkdir "$t" 2>/dev/null && kata_hold "$t"; do
    [ -w "${d%/*}" ] && [ "${#t}" -lt "$((${#d} + 30))" ] || return 1
    t=${t}0
  done
  trap 'rm -rf "$t"' EXIT
  printf '#!/bin/sh\n' >"$t/probe" && chmod 755 "$t/probe" || return 1
  "$t/probe" 2>/dev/null || return 126
  rm "$t/probe"
  # What Deno keeps of its work is run later: no umask makes it anybody else's.
  mkdir -p "$t/cache/main/npm" "$t/cache/runk/npm" || return 1
  if ! k=$(tail -c +@HEAD_BYTES@ "$0" | tar -xzf - -C "$t" --no-same-owner --no-same-permissions 2>&1); then
    printf '%s\n' "$k" | tail -n 2 | head -n 1 >&2 # a full disk has a line for each file
    return 1
  fi
  : >"$t/used" && kata_prelink "$t" || return 1
  # Whoever comes first wins the rename; its rivals unpacked the same bytes and throw them away.
  if mv -T "$t" "$d" 2>/dev/null; then
    trap - EXIT # the name is free for others
    kata_prune
  fi
  [ -e "$d/main.js" ] && kata_trusts "$d" deno launcher main.js runk.js
)
kata_prelink() {
  # Each start is 3 ms shorter for it (see prelink.ts), but all works without.
  [ -e "$1/prelink.js" ] || return 0
  export DENO_DIR="$1/cache/setup"
  if ! { "$1/deno" run --quiet @DENO_FLAGS@ "$1/prelink.js" "$1/deno" "$1/deno.new" && "$1/deno.new" eval 0 &&
    mv "$1/deno.new" "$1/deno"; } >/dev/null 2>&1; then
    rm -f "$1/deno.new"
  fi
  rm -rf "$DENO_DIR"
}
# Whether the directory $1 is ours, and held by nobody but us from now on: by this shell and what it starts.
kata_hold() {
  [ -d "$1" ] && [ -O "$1" ] && ! [ -L "$1" ] || return 1
  command -v flock >/dev/null || return 0
  # shellcheck disable=SC3013 # -ef is in every shell, and in POSIX since 2024
  command exec 9<"$1" && flock -n 9 && [ "$1" -ef /proc/self/fd/9 ]
} 2>/dev/null
# Removes halves of trees that nobody holds, as whoever made them was killed. Builds before this one held none of theirs,
# but took no ten minutes to make them.
kata_sweep() {
  for o in "${d%/*}"/*.*; do
    n=${o##*/}
    case ${n#*.} in *[!0-9]* | '') continue ;; esac
    kata_is_tree "${n%%.*}" || continue
    if [ "${n%.*}" != "${d##*/}" ] || ! command -v flock >/dev/null; then
      [ -n "$(find "$o" -prune -mmin +10)" ] || continue
    fi
    (kata_hold "$o" && rm -rf "$o")
  done 2>/dev/null
}
# Whether $1 is the name of a tree, 32 hexadecimal digits: of the cache's entries only those are ours to remove, and halves of
# them, which have a number besides.
kata_is_tree() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ "${#1}" = 32 ]
}
# Removes the trees of other builds.
kata_prune() {
  # Only in the machine's first process namespace does one see all who may run in a tree.
  [ "$(readlink /proc/self/ns/pid)" = "pid:[4026531836]" ] || return 0
  for o in "${d%/*}"/*; do
    if [ "$o" = "$d" ] || ! kata_is_tree "${o##*/}" || ! [ -d "$o" ] || ! [ -O "$o" ] || [ -L "$o" ]; then continue; fi
    true >"$o/going"
    # Builds before this one did not mark what they used.
    mark=$o/used && [ -e "$mark" ] || mark=$o/main.js
    # shellcheck disable=SC2010 # not every readlink takes several names
    if [ -n "$(find "$mark" -mmin +10)" ] && ! ls -l /proc/[0-9]*/exe | grep -qF " $o/"; then
      mv -T "$o" "$o.$$" && rm -rf "$o.$$"
    else
      rm -f "$o/going"
    fi
  done 2>/dev/null
}
kata_use() {
  true >"$d/used"
  n=0
  while [ -e "$d/going" ]; do
    [ "$n" -lt 50 ] || rm -f "$d/going" # of one that was killed
    n=$((n + 1))
    sleep 0.1
  done
} 2>/dev/null
# Takes or makes the tree in the directory $1; if there can be none, $why says so.
kata_find() {
  d=$1/@DIGEST@
  problem='others can change it'
  if kata_trusts "$d" deno launcher main.js runk.js; then
    [ ! -e "$d/main.js" ] || kata_use
    if [ -e "$d/main.js" ]; then
      "$d/launcher" "$d" none 2>/dev/null # has no program to start, and ends with 127
    else
      kata_unpack
    fi
    case $? in
      0 | 127) return 0 ;;
      126) problem='no program can be run there (mounted noexec?)' status=126 ;;
      *) problem='it cannot be made' ;;
    esac
  fi
  why="$why${why:+; }\"$1\": $problem"
  return 1
}
p=$1 flags=$2 why='' status=1
shift 2
home=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
# The home is that of another user where sudo has kept it: then it does not count. What root makes in /run is in memory.
if ! kata_find /var/cache/kata && ! { [ "${home#/}" != "$home" ] && kata_find "$home/kata-portable"; } &&
  ! { [ -w /run ] && kata_find /run/kata-portable; }; then
  echo "${0##*/}: Cannot unpack the program into any of its places: $why. XDG_CACHE_HOME may name another" >&2
  exit "$status"
fi
export DENO_DIR="$d/cache/$p"
# V8 reserves far more address space than it uses, and where it may not it ends with a trace of its own. How much it needs
# differs from machine to machine: so it is asked.
# shellcheck disable=SC3045 # dash, bash and busybox have both; without the first, it is asked each time
k=$(ulimit -v)
# shellcheck disable=SC3045
if [ "$k" != unlimited ] && ! (ulimit -c 0 && "$d/deno" eval 0 && exit) >/dev/null 2>&1; then
  echo "${0##*/}: Cannot start with an address space of at most $k KiB (ulimit -v, RLIMIT_AS): V8 reserves some 40 GiB" >&2
  exit 1
fi
# shellcheck disable=SC2086 # the flags are words
case $p in
runk) exec "$d/launcher" "$d" deno $flags "$d/$p.js" "$@" ;; # containers get to see the program: see launcher.ts
*) exec "$d/deno" $flags "$d/$p.js" "$@" ;;
esac
