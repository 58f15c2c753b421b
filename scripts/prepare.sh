# shellcheck shell=bash
# Sourced by the scripts beside it: finds, or installs once, the pinned Deno and the Debian packages that a script asks
# for, and says what it does. Nothing here names a host: npm and apt go where this machine's own settings send them.
#
# So a host need not be trusted: a program from npm is run only if its sha256 is the one that stands here, packages of
# deno.lock and proto/generator.lock only if they have the hashes of these files, and Debian packages only if apt can
# follow the signatures from the keys of this machine's own sources to them; nothing here tells apt to do without.
#
#   source "${BASH_SOURCE[0]%/*}/prepare.sh"     sets $repo, $cache and $deno
set -euo pipefail

readonly deno_version=2.9.6
# Not every registry carries each release for every architecture: second choice for building for another machine.
readonly deno_foreign_version=2.9.5
# The esbuild that `deno bundle` of this version runs, and the suffix of its directory.
readonly esbuild_version=0.25.5
repo=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
cache=${KATA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kata}
mkdir -p "$cache"

# Where what is built goes. KATA_PLAIN leaves out tricks of scripts/accelerate: 1 for all of them, or names of its folders with
# commas in between; such a build has a place of its own.
dist=$repo/dist${KATA_PLAIN:+/plain}
[[ ${KATA_PLAIN:-1} == 1 ]] || dist+=-$KATA_PLAIN

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# elapsed SINCE: seconds, with one decimal, since the given $EPOCHREALTIME.
elapsed() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# step WHAT COMMAND...: one progress line with the time it took; what the command prints is shown only if it fails.
# The command runs in a subshell, so that `set -e` holds in it; hence it cannot set a variable of the caller.
step() {
  local what=$1 since=$EPOCHREALTIME log status
  shift
  log=$(mktemp)
  printf '%s ... ' "$what" >&2
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if ((status == 0)); then
    printf '%s s\n' "$(elapsed "$since")" >&2
    rm -f "$log"
    return
  fi
  printf 'failed\n' >&2
  tail -n 20 "$log" >&2
  rm -f "$log"
  fail "Cannot finish this step: $what (exit status $status of: $*)"
}

# pinned_sha256 PACKAGE@VERSION: of the program in a package of npm.
pinned_sha256() {
  case $1 in
    @deno/linux-x64-glibc@2.9.6) echo bceb5b6a6239b0b010418406d8c77a508f67cf4337d94288f1c19fe71304aab0 ;;
    @deno/linux-x64-glibc@2.9.5) echo dc480c462c8c3582524f3e75c160613d0a975e1f66b5465995d58bae236da7d3 ;;
    @deno/linux-arm64-glibc@2.9.6) echo d08d392418df53f4e6e88a08909c0e1bccbf9adcead7232df72b6ad6075ec416 ;;
    @deno/linux-arm64-glibc@2.9.5) echo e1a70c5eb03b0ebaf761077029ef86b9ba22d50e2b54ca45ce5437457f701b63 ;;
    @esbuild/linux-x64@0.25.5) echo 3331e0b23c99d93d9a39e436a4838de40ca1c95ac3bcbd9874ba169d8545b634 ;;
    @esbuild/linux-arm64@0.25.5) echo d6d656d9326ce1c55c01f73604a3cffda35c63cce60016e9ed795ac91cd1e67d ;;
    @bufbuild/buf-linux-x64@1.75.0) echo fad1e38d6909bbb583a4da81d8c02a01046e2cd663bde7e337dd24277393764b ;;
    @bufbuild/buf-linux-aarch64@1.75.0) echo 00eb190aa82df17f393e05b04889cc60a0b13b3259d336e21a87d5f23ab4fd26 ;;
    *) fail "Cannot use $1 of npm: pinned_sha256 in scripts/prepare.sh has no hash of its program" ;;
  esac
}

# verify_program FILE PACKAGE@VERSION: whether the program is the one that we have seen; says so if not.
verify_program() {
  local wanted got
  wanted=$(pinned_sha256 "$2") || return 1
  got=$(sha256sum <"$1" | cut -d " " -f 1)
  [[ $got != "$wanted" ]] || return 0
  echo "The program of npm's $2 is not the one that is pinned: its sha256 is $got, not $wanted" >&2
  return 1
}

# is_stale OUTPUT INPUT...: whether the output is missing or older than a file in an input (files or directories).
is_stale() {
  local output=$1
  shift
  [[ ! -e $output || -n $(find "$@" -newer "$output" -type f -print -quit) ]]
}

# has_trick NAME: whether what is built has this trick of scripts/accelerate.
has_trick() {
  [[ -d $repo/scripts/accelerate/$1 ]] || fail "Cannot find \"$1\" in scripts/accelerate"
  [[ ${KATA_PLAIN-} != 1 && ,${KATA_PLAIN-}, != *,$1,* ]]
}

check_tricks() {
  local name
  [[ ${KATA_PLAIN-1} != 1 ]] || return 0
  local -a names
  IFS=, read -ra names <<<"$KATA_PLAIN"
  for name in "${names[@]}"; do
    [[ $name =~ ^[a-z_]+$ && -d $repo/scripts/accelerate/$name ]] ||
      fail "Cannot leave out \"$name\": KATA_PLAIN is 1, or has names of folders in scripts/accelerate with commas in between"
  done
}

# ensure_program, ensure_guest_images, ensure_arm64_guest, ensure_plain (both, without any trick), ensure_systemd_image: make what is in dist anew
# if something that it is made of has changed.
program_sources=("$repo"/{main.ts,deno.json,deno.lock,src} "$repo"/scripts/{build,accelerate})
guest_sources=("$repo"/{deno.lock,src} "$repo"/scripts/{guest-image,guest,accelerate})
ensure_program() {
  ! is_stale "$dist/kata" "${program_sources[@]}" || "$repo/scripts/build"
}
ensure_guest_images() {
  ! is_stale "$dist/guest/root.erofs" "${guest_sources[@]}" || "$repo/scripts/guest-image"
}
ensure_arm64_guest() {
  local target=aarch64-unknown-linux-gnu
  [[ $(uname -m) != aarch64 ]] || return 0 # the guest of this machine is one
  ! is_stale "$dist/$target/guest/root.erofs" "${guest_sources[@]}" || "$repo/scripts/guest-image" --target "$target"
}
ensure_plain() {
  ! is_stale "$repo/dist/plain/kata" "${program_sources[@]}" || KATA_PLAIN=1 "$repo/scripts/build"
  ! is_stale "$repo/dist/plain/guest/root.erofs" "${guest_sources[@]}" || KATA_PLAIN=1 "$repo/scripts/guest-image"
}
ensure_systemd_image() {
  ! is_stale "$repo/dist/systemd/root.erofs" "$repo"/scripts/{systemd-image,guest,accelerate} || "$repo/scripts/systemd-image"
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "needs root, and sudo is not installed" >&2
    return 1
  fi
}

# need_packages PACKAGE...: installs those Debian packages that are missing; never removes one to make room.
need_packages() {
  local name missing=()
  for name; do
    # shellcheck disable=SC2016 # ${...} is dpkg-query's own syntax
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  if [[ -z ${KATA_APT_UPDATED-} ]]; then
    step "Updating the package lists" as_root apt-get -q update
    export KATA_APT_UPDATED=1
  fi
  step "Installing ${missing[*]}" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends --no-remove "${missing[@]}"
}

# suite_sources SUITE: this machine's own Debian source with the suite's name replaced, in the deb822 form.
suite_sources() {
  local codename file files=()
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
    [[ -e $file ]] && files+=("$file")
  done
  awk -v suite="$1" -v codename="$codename" '
    function found(words, word) { return (" " words " ") ~ ("[ \t]" word "[ \t]") }
    function finish() {
      if (!done && found(field["suites"], codename) && found(field["components"], "main")) {
        print "Types: deb\nURIs:" field["uris"] "\nSuites: " suite "\nComponents: main" more
        done = 1
      }
      split("", field); more = ""; key = ""
    }
    FNR == 1 { finish() }
    FILENAME ~ /\.list$/ {
      if ($1 != "deb") next
      line = $0; sub(/^deb[ \t]+/, "", line)
      if (match(line, /^\[[^]]*\]/)) {
        options = substr(line, 2, RLENGTH - 2); line = substr(line, RLENGTH + 1)
        if (match(options, /signed-by=[^ ]+/)) more = "\nSigned-By: " substr(options, RSTART + 10, RLENGTH - 10)
      }
      split(line, word, /[ \t]+/); if (word[1] == "") { sub(/^[ \t]+/, "", line); split(line, word, /[ \t]+/) }
      field["uris"] = " " word[1]; field["suites"] = word[2]
      components = line; sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]+/, "", components); field["components"] = components
      finish(); next
    }
    /^#/ { next }
    /^[ \t]*$/ { finish(); next }
    /^[^ \t]/ { key = tolower($0); sub(/:.*/, "", key); value = $0; sub(/^[^:]*:/, "", value); field[key] = value }
    key == "signed-by" { more = more "\n" $0 }
    END { finish() }
  ' "${files[@]}"
}

# suite_apt SUITE ARCHITECTURE COMMAND...: apt over a suite that is not this machine's, with lists and cache of its own.
suite_apt() {
  local suite=$1 arch=$2 home=$cache/apt/$1-$2 command=$3
  shift 3
  "$command" -q -o Dir::Etc::SourceList="$home/suite.sources" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$home/lists" -o Dir::Cache="$home/cache" -o Dir::State::status="$home/status" \
    -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User="$(id -un)" "$@"
}

update_suite() {
  local suite=$1 arch=$2 home=$cache/apt/$1-$2
  mkdir -p "$home/lists/partial" "$home/cache/archives/partial"
  : >"$home/status"
  suite_sources "$suite" >"$home/suite.sources"
  [[ -s $home/suite.sources ]] || { echo "no Debian source in /etc/apt to derive suite $suite from" >&2 && return 1; }
  suite_apt "$suite" "$arch" apt-get update
  touch "$home/updated"
}

# use_suite SUITE ARCHITECTURE: its package lists, fetched if they are not there yet.
use_suite() {
  [[ -e $cache/apt/$1-$2/updated ]] || step "Updating the package lists of Debian $1 ($2)" update_suite "$1" "$2"
}

download_and_unpack() {
  local suite=$1 arch=$2 target=$3 package work
  shift 3
  work=$(mktemp -d "$cache/unpack.XXXXXX")
  # A point release takes the old files away, so a list from before it leads nowhere: update once and try again.
  (cd "$work" && suite_apt "$suite" "$arch" apt-get download "$@") || {
    update_suite "$suite" "$arch"
    (cd "$work" && suite_apt "$suite" "$arch" apt-get download "$@")
  }
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/tree"; done
  # A rename makes the tree appear whole or not at all; a loser of a race between two scripts just leaves.
  mv -T "$work/tree" "$target" 2>/dev/null || [[ -d $target ]]
  rm -rf "$work"
}

# unpack_packages SUITE ARCHITECTURE NAME PACKAGE...: those packages' files as one tree, $cache/unpacked/SUITE-ARCH/NAME,
# without touching the system. Prints the tree's path.
unpack_packages() {
  local suite=$1 arch=$2 target=$cache/unpacked/$1-$2/$3
  shift 3
  if [[ ! -d $target ]]; then
    mkdir -p "${target%/*}"
    use_suite "$suite" "$arch"
    step "Unpacking $* of Debian $suite ($arch)" download_and_unpack "$suite" "$arch" "$target" "$@"
  fi
  echo "$target"
}

# unpack_program SUITE ARCHITECTURE PACKAGE PROGRAM [ARGUMENT...]: a program of another suite with everything that it depends on,
# its C library too, as a tree. Prints a file to start it by, beside the program itself; @ in an argument is the tree.
unpack_program() {
  local suite=$1 arch=$2 package=$3 program=$4 tree all libraries
  shift 4
  tree=$cache/unpacked/$suite-$arch/$package
  if [[ ! -d $tree ]]; then
    use_suite "$suite" "$arch"
    mapfile -t all < <(suite_apt "$suite" "$arch" apt-get install --simulate --no-install-recommends "$package" | awk '$1 == "Inst" { print $2 }')
    ((${#all[@]})) || fail "Cannot find what $package of Debian $suite depends on"
    unpack_packages "$suite" "$arch" "$package" "${all[@]}" >/dev/null
  fi
  libraries=$(dirname "$(find "$tree/usr/lib" -name 'libc.so.6' -print -quit)")
  local starter=$tree/usr/bin/start-$program loader=("$libraries"/ld-linux-*.so.*)
  printf '#!/bin/sh\nexec %s --library-path %s %s %s"$@"\n' "${loader[0]}" "$libraries" "$tree/usr/bin/$program" \
    "${*//@/$tree}${*:+ }" >"$starter.$$"
  chmod 755 "$starter.$$"
  mv "$starter.$$" "$starter"
  echo "$starter"
}

# unpack_share_daemon ARCHITECTURE: the virtiofsd that is preferred, with libraries of its own; Debian 12 has only QEMU's.
# It is started as it is, so that a process of it has its name. Prints its path.
unpack_share_daemon() {
  local arch=$1 tree
  need_packages patchelf
  tree=$(unpack_packages sid "$arch" virtiofsd virtiofsd libc6 libcap-ng0 libseccomp2 libgcc-s1)
  [[ -e $tree/own-libraries ]] || step "Giving virtiofsd its own libraries" own_libraries "$tree" "$tree/usr/libexec/virtiofsd"
  echo "$tree/usr/libexec/virtiofsd"
}

own_libraries() {
  local tree=$1 program=$2 libraries
  libraries=$(find "$tree" -name libc.so.6 -printf '%h\n' -quit)
  cp "$program" "$program.new"
  patchelf --set-interpreter "$(find "$libraries" -name 'ld-linux-*')" --set-rpath "$libraries" "$program.new"
  "$program.new" --version >/dev/null
  mv "$program.new" "$program"
  touch "$tree/own-libraries"
}

# modules_of TREE VERSION NAME...: the files of these kernel modules and of those they need, in load order.
modules_of() {
  local kernel=$1 version=$2
  shift 2
  PATH=$PATH:/usr/sbin:/sbin modprobe -a -d "$kernel" -S "$version" --show-depends "$@" |
    awk '$1 == "insmod" && $2 !~ /crc32c-intel/ && !seen[$2]++ { print $2 }' # needs a CPU we do not emulate
}

# deno_binary ARCHITECTURE: where the Deno binary for that architecture (x64, arm64) lies in the cache; downloads it once.
deno_binary() {
  local arch=$1 home=$cache/deno-$deno_version
  [[ $arch == "$(native_arch)" ]] || home+=-$arch
  local binary=$home/node_modules/@deno/linux-$arch-glibc/deno
  if [[ ! -x $binary ]]; then
    command -v npm >/dev/null || need_packages npm
    step "Installing Deno $deno_version ($arch) from npm" install_deno "$arch" "$home"
  fi
  echo "$binary"
}

# Runs in a step, which is a shell of its own: what is not whole goes with it.
install_deno() {
  local arch=$1 home=$2 version=$deno_version work
  work=$(mktemp -d "$cache/deno.XXXXXX")
  # shellcheck disable=SC2064 # the directory of now
  trap "rm -rf '$work'" EXIT
  if ! npm_install "$work" "@deno/linux-$arch-glibc@$version"; then
    [[ $arch != "$(native_arch)" ]] || return 1
    version=$deno_foreign_version
    npm_install "$work" "@deno/linux-$arch-glibc@$version"
  fi
  verify_program "$work/node_modules/@deno/linux-$arch-glibc/deno" "@deno/linux-$arch-glibc@$version"
  chmod 755 "$work/node_modules/@deno/linux-$arch-glibc/deno" "$work"
  rm -rf "$home"
  mv -T "$work" "$home"
}

# npm_install DIR PACKAGE: --force, because the package may be for another architecture than this machine's.
npm_install() {
  (cd "$1" && npm install --no-audit --no-fund --no-save --ignore-scripts --force --prefix "$1" "$2")
}

# ensure_esbuild: the pinned esbuild, where `deno bundle` would else put one that it fetches; sets $esbuild.
ensure_esbuild() {
  local arch deno_dir
  arch=$(native_arch)
  deno_dir=$("$deno" info --json | sed -n 's/.*"denoDir": "\(.*\)".*/\1/p')
  esbuild=$deno_dir/dl/esbuild-$esbuild_version-1/esbuild-linux-$arch
  ! verify_program "$esbuild" "@esbuild/linux-$arch@$esbuild_version" 2>/dev/null || return 0
  command -v npm >/dev/null || need_packages npm
  step "Installing esbuild $esbuild_version from npm" install_esbuild "$arch" "$esbuild"
}

install_esbuild() {
  local arch=$1 target=$2 work
  mkdir -p "${target%/*}"
  work=$(mktemp -d "${target%/*}/npm.XXXXXX")
  # shellcheck disable=SC2064 # the directory of now
  trap "rm -rf '$work'" EXIT
  npm_install "$work" "@esbuild/linux-$arch@$esbuild_version"
  verify_program "$work/node_modules/@esbuild/linux-$arch/bin/esbuild" "@esbuild/linux-$arch@$esbuild_version"
  chmod 755 "$work/node_modules/@esbuild/linux-$arch/bin/esbuild"
  mv "$work/node_modules/@esbuild/linux-$arch/bin/esbuild" "$target"
}

# deno_bundle ARGUMENT...: `deno bundle`, which runs esbuild.
deno_bundle() {
  ensure_esbuild
  (cd "$repo" && "$deno" bundle --quiet --no-check --platform deno "$@")
}

native_arch() {
  case $(uname -m) in
    x86_64) echo x64 ;;
    aarch64) echo arm64 ;;
    *) fail "Cannot run on $(uname -m): Deno exists for x86_64 and aarch64" ;;
  esac
}

# prefetch: the npm packages that deno.lock names, once per lock file, so that later runs need no network.
prefetch() {
  local stamp
  stamp=$cache/prefetched-$(sha256sum <"$repo/deno.lock" | cut -c1-16)
  [[ -e $stamp ]] && return
  (cd "$repo" && step "Fetching the npm packages of deno.lock" "$deno" install --frozen)
  touch "$stamp"
}

# bundle_short FORMAT INPUT OUTPUT [OPTION...]: a program as one script, as short as is safe; options of `deno bundle`.
bundle_short() {
  local format=$1 input=$2 output=$3
  shift 3
  deno_bundle "$@" --format "$format" --output "$output" "$input"
  shorten "$output"
}

# shorten FILE...: scripts of one directory, in place. `deno bundle --minify` is not safe: its esbuild 0.25 merges a variable
# that is used once into its use, and with a `using` the disposal is lost. So we call that esbuild again for the harmless part.
shorten() {
  local esbuild
  ensure_esbuild
  "$esbuild" --minify-whitespace --minify-identifiers --log-level=error --allow-overwrite --outdir="${1%/*}" "$@"
}

check_tricks
export DENO_NO_UPDATE_CHECK=1
deno=$(deno_binary "$(native_arch)")
prefetch
