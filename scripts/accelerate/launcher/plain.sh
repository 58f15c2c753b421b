#!/bin/sh
# The launcher of a build without machine code: see plain.ts.
[ -e "$1/$2" ] || exit 127
d=$1
exec "$d/deno" run --quiet @DENO_FLAGS@ "$d/launcher.js" "$@"
