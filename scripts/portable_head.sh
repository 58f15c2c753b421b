#!/bin/sh
# Kata Containers as one portable file: this head, then a compressed tar of the Deno binary and the bundled program. The
# tar is unpacked once, into a directory named by its digest; from then on a start costs this small shell and no fork.
kata_unpack() {
  t=$d.$$
  (umask 022 && mkdir -p "${d%/*}" && mkdir "$t") 2>/dev/null || return 1
  # Whoever comes first wins the rename; its rivals unpacked the same bytes and throw them away.
  if tail -c +@HEAD_BYTES@ "$0" | tar -xzf - -C "$t" --no-same-owner && mv -T "$t" "$d" 2>/dev/null; then return 0; fi
  rm -rf "$t"
  [ -O "$d/main.js" ]
}
d=/var/cache/kata/@DIGEST@
# Only root can write there; a tree in any other place must be our own, or another user could plant it.
if ! [ -O "$d/main.js" ] && { [ -w /var/cache ] || ! [ -e "$d/main.js" ]; } && ! kata_unpack; then
  d=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/kata/@DIGEST@
  if ! [ -O "$d/main.js" ] && ! kata_unpack; then
    echo "${0##*/}: Cannot unpack the program into /var/cache/kata or \"${d%/*}\"" >&2
    exit 1
  fi
fi
KATA_ARGV0=$0 KATA_FORM=portable DENO_DIR=$d/cache DENO_NO_UPDATE_CHECK=1 exec "$d/deno" run --quiet @DENO_FLAGS@ "$d/main.js" "$@"
