# shellcheck shell=sh
# Kata Containers as one portable file: a small executable, which holds this script, then a compressed tar of the Deno
# binary and the bundled program. The tar is unpacked once, into a directory named by its digest; from then on the
# executable runs what is there (see portable_head.ts), and calls this script, by `sh -c`, only if it cannot: nothing is
# unpacked yet, the tree is going, or it belongs to another user.
#
#   $0: the file    $1: the program in the tree    $2: Deno's arguments before it    then the caller's arguments
#
# The environment is that of the program already, but for DENO_DIR, which goes by the tree.
#
# Trees of other builds go when this one is unpacked, unless something runs in them or began to in the last minutes. (A
# runk, whose path nobody sees, needs nothing of its tree any more.) Whoever starts marks its tree as used and then looks
# whether it is going; whoever removes one says so and then looks at the mark: so at least one of two sees the other.
kata_unpack() {
  t=$d.$$
  (umask 022 && mkdir -p "${d%/*}" && mkdir "$t") 2>/dev/null || return 1
  # Whoever comes first wins the rename; its rivals unpacked the same bytes and throw them away.
  if tail -c +@HEAD_BYTES@ "$0" | tar -xzf - -C "$t" --no-same-owner && : >"$t/used" && kata_prelink && mv -T "$t" "$d" 2>/dev/null; then
    kata_prune
    return 0
  fi
  rm -rf "$t"
  [ -O "$d/main.js" ]
}
kata_prelink() {
  # Each start is 3 ms shorter for it (see prelink.ts), but all works without.
  export DENO_DIR="$t/cache/setup"
  if ! { "$t/deno" run --quiet @DENO_FLAGS@ "$t/prelink.js" "$t/deno" "$t/deno.new" && "$t/deno.new" eval 0 &&
    mv "$t/deno.new" "$t/deno"; } >/dev/null 2>&1; then
    rm -f "$t/deno.new"
  fi
  rm -rf "$DENO_DIR"
}
kata_prune() {
  # Only in the machine's first process namespace does one see all who may run in a tree.
  [ "$(readlink /proc/self/ns/pid)" = "pid:[4026531836]" ] || return 0
  for o in "${d%/*}"/*; do
    if [ "$o" = "$d" ] || ! [ -O "$o" ] || [ -L "$o" ]; then continue; fi
    case $o in
      *.*) # half of a tree; whoever made it has long finished, or was killed
        [ -z "$(find "$o" -prune -mmin +10)" ] || rm -rf "$o"
        continue
        ;;
    esac
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
p=$1 flags=$2
shift 2
d=/var/cache/kata/@DIGEST@
kata_use
# Only root can write there; a tree in any other place must be our own, or another user could plant it.
if ! [ -O "$d/main.js" ] && { [ -w /var/cache ] || ! [ -e "$d/main.js" ]; } && ! kata_unpack; then
  d=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/kata/@DIGEST@
  kata_use
  if ! [ -O "$d/main.js" ] && ! kata_unpack; then
    echo "${0##*/}: Cannot unpack the program into /var/cache/kata or \"${d%/*}\"" >&2
    exit 1
  fi
fi
export DENO_DIR="$d/cache/$p"
# shellcheck disable=SC2086 # the flags are words
case $p in
runk) exec "$d/launcher" "$d" deno $flags "$d/$p.js" "$@" ;; # containers get to see the program: see launcher.ts
*) exec "$d/deno" $flags "$d/$p.js" "$@" ;;
esac
