/**
 * The built file as a user starts it. Needs root (each test hides the machine's own /var/cache) and dist/ from
 * scripts/build.
 */
import assert from "node:assert/strict";
import { VERSION } from "../../src/base/version.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";
import { hasTrick, type Trick } from "../../scripts/accelerate/switches.ts";
import { DIST } from "../house.ts";

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a shell script in a mount namespace with an empty /var/cache; `$KATA` is the built file. */
async function run(script: string): Promise<Result> {
  const empty = "mount -t tmpfs -o mode=755 none /var/cache && ";
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--mount", "sh", "-c", empty + script],
    env: { KATA: `${DIST}kata`, DIST },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Both forms are executables. */
const IS_PORTABLE = new TextDecoder().decode(Deno.readFileSync(`${DIST}kata`).subarray(0, 0x10000)).includes(
  "kata_unpack",
);

/** Form of the portable file, as `kata version` calls it. */
const FORM = hasTrick("portable_head") ? "portable" : "plain";

/** A test of the portable form only; where `deno compile` works, dist/kata is the compiled one. @param trick What it tests. */
function portable(name: string, fn: () => Promise<void>, trick?: Trick): void {
  const test = `portable file: ${name}`;
  const isPlain = trick !== undefined && !hasTrick(trick);
  const ignore = leftOut(import.meta, !IS_PORTABLE && "dist/kata is a compiled one") ||
    leftOut({ name: test }, isPlain && `the build is one without ${trick}`);
  Deno.test({ name: test, ignore, fn });
}

Deno.test("kata version says which release and form it is", async () => {
  const { code, stdout } = await run(`exec "$KATA" version`);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`^kata ${VERSION} \\((${FORM}|compiled), Deno [0-9.]+, ${Deno.build.target}\\)\n$`));
});

Deno.test("a link's name chooses the mode", async () => {
  const shim = await run(`exec "$DIST/containerd-shim-kata-v2" -version`);
  assert.equal(shim.code, 0, shim.stderr);
  assert.match(shim.stdout, /containerd-shim-kata-v2/);
  const agent = await run(`exec "$DIST/kata-agent" --version`);
  assert.match(agent.stdout, /^kata-agent version /);
});

Deno.test("an unknown mode ends with status 1 and one line", async () => {
  const { code, stdout, stderr } = await run(`exec "$KATA" "no such mode"`);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
  assert.match(stderr, /^kata: unknown mode "no such mode"; [^\n]+\n$/);
});

/** Type and entry point in the header of the Deno that was unpacked: `2` says that it has a fixed place. */
const PLACE = "od -An -tu2 -j16 -N2 /var/cache/kata/*/deno && od -An -tx8 -j24 -N8 /var/cache/kata/*/deno";

portable("the unpacked Deno is prelinked, each time to another place", async () => {
  const { stdout, stderr } = await run(`"$KATA" version >/dev/null && ${PLACE} &&
    rm -r /var/cache/kata && "$KATA" version >/dev/null && ${PLACE} && ls /var/cache/kata/*/deno*`);
  const [type, place, ...again] = stdout.trim().split(/\s+/);
  assert.equal(type, "2", stderr);
  assert.equal(again[0], "2");
  assert.notEqual(again[1], place);
  assert.equal(again.length, 3, "something else is left");
}, "prelink");

portable("where there is no room for prelinking, it works without", async () => {
  const { code, stdout, stderr } = await run(`mount -t tmpfs -o size=120m none /var/cache &&
    "$KATA" version >/dev/null && ${PLACE} && ls /var/cache/kata/*/deno*`);
  assert.equal(code, 0, stderr);
  const [type, , ...files] = stdout.trim().split(/\s+/);
  assert.equal(type, "3");
  assert.equal(files.length, 1, "something else is left");
}, "prelink");

portable("it is unpacked once, and a later start takes that", async () => {
  const { stdout } = await run(`"$KATA" version >/dev/null && cd /var/cache/kata/* && stat -c %i main.js &&
    "$KATA" version >/dev/null && stat -c %i main.js && ls /var/cache/kata | wc -l`);
  const [first, second, trees] = stdout.trim().split("\n");
  assert.equal(first, second);
  assert.equal(trees, "1");
});

portable("it runs without a shell once it is unpacked", async () => {
  const { code, stdout, stderr } = await run(
    `"$KATA" version && mount --bind /bin/false /bin/sh && "$KATA" version && exec "$DIST/runk" --version`,
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, new RegExp(`^(kata .* \\(${FORM},.*\n){2}runk version `));
}, "portable_head");

portable("where it cannot be unpacked for want of a shell, one line says so", async () => {
  const { code, stdout, stderr } = await run(
    `install -m 755 "$KATA" /var/cache/kata && chroot /var/cache /kata version`,
  );
  assert.deepEqual({ code, stdout, stderr }, {
    code: 1,
    stdout: "",
    stderr: "kata: Cannot run /bin/sh, which unpacks the program\n",
  });
}, "portable_head");

portable("what an outer one left in the environment does not count", async () => {
  const { stdout } = await run(`export KATA_ARGV0=/bin/runk KATA_FORM=source DENO_DIR=/proc/none
    "$KATA" version && exec "$KATA" version`);
  assert.match(stdout, new RegExp(`^(kata .* \\(${FORM},.*\n){2}$`));
});

/** Lists what V8 compiled for each use of runk: `USE BYTES` per line, then the size of SQLite's log. */
const LEARNED = `cd /var/cache/kata/*/cache/runk && DENO_DIR=/var/cache/none "$DIST/program/deno" eval --quiet '
  const { DatabaseSync } = await import("node:sqlite");
  const rows = new DatabaseSync("v8_code_cache_v2", { readOnly: true })
    .prepare("SELECT specifier, length(data) AS bytes FROM codecache WHERE specifier LIKE ?").all("%/runk/%");
  for (const { specifier, bytes } of rows) console.log(specifier.split("/").at(-1), bytes);
  console.log("log", Deno.statSync("v8_code_cache_v2-wal").size)' && ls learned-*`;

/** As pairs of what stands before and after the space. */
function pairs(text: string): Map<string, number> {
  return new Map(
    text.trim().split("\n").map((line) => line.split(" ")).map(([use = "", bytes]) => [use, Number(bytes)]),
  );
}

portable("runk keeps the functions that a use of it runs, once that has succeeded", async () => {
  const failed = `"$DIST/runk" state none 2>/dev/null;`;
  const { stdout, stderr } = await run(`{ ${failed} ${failed} "$DIST/runk" features; } >/dev/null; ${LEARNED}`);
  const learned = pairs(stdout);
  assert.deepEqual([...learned.keys()].sort(), ["features", "learned-features", "log", "state"], stderr);
  assert.ok(learned.get("features")! > learned.get("state")! + 10_000, stdout);
  assert.equal(learned.get("log"), 0);
}, "runk_loader");

/** Leaves a row in SQLite's log, as Deno does when a use that is known loads more of it than before. */
const LOGGED = `DENO_DIR=/var/cache/none "$DIST/program/deno" eval --quiet '
  const { DatabaseSync } = await import("node:sqlite");
  const [path] = Array.from(Deno.readDirSync("/var/cache/kata"), ({ name }) => "/var/cache/kata/" + name + "/cache/runk/");
  for (const file of ["v8_code_cache_v2", "dep_analysis_cache_v2"]) {
    new DatabaseSync(path + file).exec("CREATE TABLE more (bytes); INSERT INTO more VALUES (zeroblob(100000))");
    console.log(file, Deno.statSync(path + file + "-wal").size > 100000 ? 1 : 0);
  }
  Deno.exit(0)'`;

portable("what Deno adds later to its databases is not read from their logs by each start", async () => {
  const { stdout, stderr } = await run(
    `{ for i in 1 2 3; do "$DIST/runk" features; done; } >/dev/null; ${LOGGED}; "$DIST/runk" features >/dev/null
    ${LEARNED}; stat -c 'dep %s' dep_analysis_cache_v2-wal`,
  );
  const seen = pairs(stdout);
  assert.deepEqual([seen.get("v8_code_cache_v2"), seen.get("dep_analysis_cache_v2")], [1, 1], stderr);
  assert.deepEqual([seen.get("log"), seen.get("dep")], [0, 0], stderr);
}, "runk_loader");

portable("what a use of runk has learned, later ones only read", async () => {
  const sum = "cksum /var/cache/kata/*/cache/runk/v8_code_cache_v2";
  const { stdout } = await run(
    `for i in 1 2 3; do "$DIST/runk" features; done >/dev/null; ${sum}; "$DIST/runk" features >/dev/null; ${sum}`,
  );
  const [before, after, ...more] = stdout.trim().split("\n");
  assert.deepEqual([after, more], [before, []]);
}, "runk_loader");

portable("concurrent first starts all work and leave one tree", async () => {
  const { stdout, stderr } = await run(`for i in 1 2 3 4; do "$KATA" version & done; wait; ls /var/cache/kata | wc -l`);
  const lines = stdout.trim().split("\n");
  assert.equal(lines.filter((line) => line.startsWith("kata ")).length, 4, stderr);
  assert.equal(lines.at(-1), "1");
});

/** For scripts: the name of the tree, and a tree of programs that say "planted". */
const PLANT = `digest=$(LC_ALL=C sed -n 's,^  d=[$]1/,,p' "$KATA"); plant() {
    mkdir -p $1/$digest && printf '#!/bin/sh\\necho planted\\n' >$1/$digest/deno && cd $1/$digest && chmod 755 deno
    cp deno launcher; cp deno main.js; cp deno runk.js; cd /
  };`;

portable("F15: a tree that another user planted is not run", async () => {
  const { code, stdout, stderr } = await run(`${PLANT} export HOME=/var/cache/home; mkdir $HOME; plant /var/cache/kata
    chown -R 65534 /var/cache/kata/$digest && "$KATA" version && ls $HOME/.cache/kata-portable`);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^kata /);
  assert.doesNotMatch(stdout, /planted/);
});

/** `/var/cache` that cannot be written to, a private `/run`, and homes of root and another user. */
const HOMES = `${PLANT} mount -t tmpfs -o mode=755 none /run && mount -t tmpfs -o mode=755 none /mnt
  mkdir -m 755 -p /mnt/root /mnt/user/.cache /mnt/victim && echo precious >/mnt/victim/file && mount -o remount,ro /var/cache;`;

portable("F15: as root, the home of another user is no place for it, whatever he planted there", async () => {
  const { code, stdout, stderr } = await run(`${HOMES} export HOME=/mnt/user
    ours=/mnt/victim/main.js; echo 'console.log("planted")' >$ours; plant /mnt/user/.cache/kata; plant /mnt/user/.cache/kata-portable
    for tree in /mnt/user/.cache/*/$digest; do ln -sf $ours $tree/main.js; ln -s /mnt/victim/file $tree/used; done
    chown -R -h 65534 /mnt/user; chown 0 /mnt/victim/*
    "$KATA" version; "$DIST/runk" --version; cat /mnt/victim/file; ls -d /run/k*; stat -c %u:%a /run/kata-portable`);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^kata .*\nrunk version [^]*\nprecious\n\/run\/kata-portable\n0:755\n$/, stderr);
  assert.doesNotMatch(stdout, /planted/);
});

portable("F15: as root, it makes nothing where a link in another user's home leads", async () => {
  const { stdout, stderr } = await run(`${HOMES} export HOME=/mnt/user; rmdir /mnt/user/.cache
    ln -s /mnt/victim /mnt/user/.cache; chown -h 65534 /mnt/user/.cache; "$KATA" version; ls /mnt/victim
    chown 65534 /mnt/user; "$KATA" version; ls /mnt/victim`);
  assert.match(stdout, /^(kata .*\nfile\n){2}$/, stderr);
});

portable("F15: a tree in a directory that others may write to is not run, nor made there", async () => {
  const { stdout, stderr } = await run(`${HOMES} export XDG_CACHE_HOME=/mnt/open; mkdir /mnt/open; chmod 777 /mnt/open
    plant /mnt/open/kata-portable; "$KATA" version; rm -r /mnt/open/*; rm -r /run/k*; "$KATA" version; ls /mnt/open; ls -d /run/k*`);
  assert.match(stdout, /^(kata .*\n){2}\/run\/kata-portable\n$/, stderr);
});

portable("F15: whatever the umask, nobody else may write to anything of it", async () => {
  const { stdout, stderr } = await run(`umask 0; "$KATA" version; "$DIST/runk" features >/dev/null
    find /var/cache/kata -perm /022 ! -type l; ls /var/cache/kata/*/cache/runk`);
  assert.match(stdout, /^kata .*\n(?!\/)/, stderr);
  assert.doesNotMatch(stdout, /^\//m);
  assert.match(stdout, /learned-features/);
});

portable("F12: in a home it removes nothing of the build's cache, and of its own only trees", async () => {
  const { stdout, stderr } = await run(`${HOMES} export HOME=/mnt/root; here=$(readlink /proc/self/ns/pid | tr -dc 0-9)
    tree=0123456789abcdef0123456789abcdef
    for cache in kata kata-portable; do
      mkdir -p $HOME/.cache/$cache && cd $HOME/.cache/$cache
      mkdir deno-2.9.6 apt unpacked template old.new $tree $tree.7 $tree.new $tree.7a $tree. \${tree}0 X$tree
      mkdir 0123456789ABCDEF0123456789abcdef; for each in */; do echo x >$each/used; done; echo x >file.tar.gz; find . -exec touch -d @0 {} +
    done
    LC_ALL=C sed "1,120s/4026531836/$here/" "$KATA" >/mnt/kata; chmod 755 /mnt/kata; /mnt/kata version; cd ..
    echo "-- $(ls kata | wc -l)"; ls -d kata-portable/*`);
  const [version, build, ...left] = stdout.trim().split("\n");
  assert.match(version!, /^kata /, stderr);
  assert.equal(build, "-- 14");
  const [hex, ours] = ["0123456789abcdef0123456789abcdef", /^[0-9a-f]{32}$/];
  const names = left.map((path) => path.slice("kata-portable/".length));
  assert.deepEqual(names.filter((name) => ours.test(name)).length, 1, "the own tree");
  assert.deepEqual(
    names.filter((name) => !ours.test(name)).sort(),
    [
      "0123456789ABCDEF0123456789abcdef",
      `${hex}.`,
      `${hex}.7a`,
      `${hex}.new`,
      `${hex}0`,
      `X${hex}`,
      "apt",
      "deno-2.9.6",
      "file.tar.gz",
      "old.new",
      "template",
      "unpacked",
    ].sort(),
  );
  assert.ok(!names.includes(hex));
});

portable("runk 19: where /var/cache is mounted noexec, it runs from another place", async () => {
  const { code, stdout, stderr } = await run(`${HOMES} export HOME=/mnt/root; mount -o remount,rw,noexec /var/cache
    "$KATA" version && "$DIST/runk" --version | head -1 && "$KATA" version; ls /mnt/root/.cache /var/cache/kata`);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^kata .*\nrunk version .*\nkata .*\n\/mnt\/root\/.cache:\nkata-portable\n\n\/var\/cache\/kata:\n$/,
    stderr,
  );
});

portable("runk 19: where /var/cache becomes noexec later, it runs from another place", async () => {
  const { code, stdout, stderr } = await run(
    `mount -t tmpfs -o mode=755 none /run; "$KATA" version; mount -o remount,noexec /var/cache
    export HOME=/proc/none; "$DIST/runk" --version | head -1; ls -d /run/k*`,
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^kata .*\nrunk version .*\n\/run\/kata-portable\n$/, stderr);
});

portable("runk 19: where no place may run programs, one line names each and why, and the status is 126", async () => {
  const { code, stdout, stderr } = await run(`${HOMES} export HOME=/mnt/root; for place in /var/cache /mnt /run; do
    mount -o remount,rw,noexec $place; done; "$KATA" version; echo $?; ls /mnt/root/.cache/*`);
  const why = "no program can be run there \\(mounted noexec\\?\\)";
  assert.match(
    stderr,
    new RegExp(
      `^kata: Cannot unpack the program into any of its places: "/var/cache/kata": ${why}; ` +
        `"/mnt/root/.cache/kata-portable": ${why}; "/run/kata-portable": ${why}. XDG_CACHE_HOME may name another\n$`,
    ),
  );
  assert.deepEqual({ code, stdout }, { code: 0, stdout: "126\n" });
});

portable("another user than root unpacks it into a cache of its own", async () => {
  const { stdout, stderr } = await run(
    `export XDG_CACHE_HOME=/var/cache/mine && mkdir $XDG_CACHE_HOME && chown 65534 $XDG_CACHE_HOME
    install -m 755 "$KATA" /var/cache/portable
    setpriv --reuid 65534 --regid 65534 --clear-groups /var/cache/portable version && stat -c %u $XDG_CACHE_HOME/kata-portable`,
  );
  assert.match(stdout, /^kata .*\n65534\n$/, stderr);
});

portable("the trees of other builds go when it is unpacked, unless they are in use or were a moment ago", async () => {
  const { stdout, stderr } = await run(`mkdir /var/cache/kata && cd /var/cache/kata; name() { printf '%032x' $1; }
    idle=$(name 1) running=$(name 2) recent=$(name 3) legacy=$(name 4) half=$(name 5).7 making=$(name 6).8
    for tree in $idle $running $recent $legacy $half $making; do
      mkdir $tree && cp /bin/sleep $tree/deno && touch $tree/main.js $tree/used
    done
    rm $legacy/used && touch -d @0 $idle/used $running/used $legacy/main.js $half
    $running/deno 100 & here=$(readlink /proc/self/ns/pid | tr -dc 0-9)
    LC_ALL=C sed "1,120s/4026531836/$here/" "$KATA" >../first; chmod 755 ../first
    ../first version; ls -d 000*; kill $!; ls $recent $running`);
  const [version, ...trees] = stdout.split("\n").filter((line) => line !== "");
  assert.match(version!, /^kata /, stderr);
  const [running, recent, making] = [2, 3, 6].map((number) => String(number).padStart(32, "0"));
  const tree = ["deno", "main.js", "used"];
  assert.deepEqual(trees, [running, recent, `${making}.8`, `${running}:`, ...tree, `${recent}:`, ...tree]);
});

portable("in a process namespace of its own, which shows not all who use them, it removes no trees", async () => {
  const script =
    'idle=kata/$(printf %032x 1); mkdir -p $idle && touch -d @0 $idle/used && mount -t proc proc /proc && "$KATA" version && ls kata';
  const { stdout, stderr } = await run(`cd /var/cache && unshare --pid --fork sh -c '${script}'`);
  assert.match(stdout, /^kata .*\n0{31}1\n/s, stderr);
});

portable("a start waits for whoever removes its tree, and unpacks it again", async () => {
  const { stdout, stderr } = await run(
    `"$KATA" version >/dev/null; cd /var/cache/kata; tree=$(echo *); touch $tree/going
    { sleep 0.5; mv $tree gone.1; rm -r gone.1; } & "$KATA" version; ls; ls $tree/going`,
  );
  assert.match(stdout, /^kata .*\n[0-9a-f]{32}\n$/);
  assert.match(stderr, /^ls: [^\n]*going[^\n]*\n$/);
});

portable("what a killed remover left behind holds up one start only", async () => {
  const { stdout } = await run(`"$KATA" version >/dev/null; cd /var/cache/kata; touch $(echo *)/going
    "$KATA" version; ls $(echo *)`);
  assert.match(stdout, /^kata /);
  assert.doesNotMatch(stdout, /going/);
});

portable("what a start left that was killed while it unpacked keeps no later one of the same pid from it", async () => {
  const script = '"$KATA" version';
  const { code, stdout, stderr } = await run(`${PLANT} mount -t tmpfs -o mode=755,ro none /run && export HOME=/proc/none
    for pid in $(seq 300); do mkdir -p /var/cache/kata/$digest.$pid; done; chown 65534 /var/cache/kata/*
    unshare --pid --fork sh -c '${script}'; ls /var/cache/kata | wc -l`);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^kata .*\n301\n$/, stderr);
});

portable(
  "what a start left that was killed while it unpacked goes with the next one, and nothing that lives or is not ours",
  async () => {
    const { code, stdout, stderr } = await run(`${PLANT} mkdir /var/cache/bin /var/cache/kata && cd /var/cache/kata
    printf '#!/bin/sh\nexec sleep 1000\n' >../bin/tar; chmod 755 ../bin/tar; others=$(printf %032x 1).7
    mkdir $digest.x $digest. $others; ln -s $others $digest.7; echo x >$digest.8; mkdir $digest.9; chown 65534 $digest.9
    PATH=/var/cache/bin:$PATH setsid "$KATA" version & first=$!
    until ls $digest.$first/cache/main; do sleep 0.05; done >/dev/null 2>&1
    "$KATA" version; ls -d $digest.$first; kill -9 -$first; wait 2>/dev/null
    rm -r $digest; "$KATA" version; ls -d $digest* 0* | sed "s/$digest/tree/; s/$first/first/"`);
    assert.equal(code, 0, stderr);
    const [version, living, again, ...left] = stdout.trim().split("\n");
    assert.match(version!, /^kata /);
    assert.match(living!, /^[0-9a-f]{32}\.\d+$/);
    assert.match(again!, /^kata /);
    const others = `${"1".padStart(32, "0")}.7`;
    assert.deepEqual(left.sort(), [others, "tree", "tree.", "tree.7", "tree.8", "tree.9", "tree.x"]);
  },
);

portable("a start whose half tree is swept before it holds it makes another", async () => {
  const { code, stdout, stderr } = await run(`mkdir /var/cache/bin; flock=$(command -v flock)
    printf '#!/bin/sh\n[ -e /var/cache/swept ] || { >/var/cache/swept; rmdir /var/cache/kata/*; }\nexec %s "$@"\n' $flock >/var/cache/bin/flock
    chmod 755 /var/cache/bin/flock; cd /var/cache; PATH=/var/cache/bin:$PATH "$KATA" version; ls swept kata`);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^kata .*\nswept\n\nkata:\n[0-9a-f]{32}\n$/, stderr);
});

portable("a start removes nothing that somebody puts where its half tree was, once that is the tree", async () => {
  const { code, stdout, stderr } = await run(`mkdir /var/cache/bin; mv=$(command -v mv)
    printf '#!/bin/sh\n%s "$@" || exit\n[ "$1" != -T ] || mkdir "$2"\n' $mv >/var/cache/bin/mv; chmod 755 /var/cache/bin/mv
    PATH=/var/cache/bin:$PATH "$KATA" version; ls /var/cache/kata`);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^kata .*\n([0-9a-f]{32})\n\1\.\d+\n$/, stderr);
});

portable("on a full disk, a line says so and one that there is no place; nothing is left", async () => {
  const { stdout, stderr } = await run(`mount -t tmpfs -o mode=755,size=20m none /var/cache && export HOME=/proc/none
    mount -t tmpfs -o mode=755,ro none /run; "$KATA" version; echo $?; ls -A /var/cache/kata`);
  assert.equal(stdout, "1\n");
  assert.match(stderr, /^tar: [^\n]+ No space left on device\nkata: Cannot unpack the program [^\n]+\n$/);
});

portable("without a place for it, one line says so", async () => {
  const { code, stderr } = await run(
    `install -m 755 "$KATA" /var/cache/portable && export HOME=/proc/none XDG_CACHE_HOME=
    exec setpriv --reuid 65534 --regid 65534 --clear-groups /var/cache/portable version`,
  );
  assert.equal(code, 1);
  assert.match(stderr, /^portable: Cannot unpack the program into [^\n]+\n$/);
});

Deno.test("the links are the modes of main.ts", async () => {
  const { MODES } = await import("../../main.ts");
  for (const mode of Object.keys(MODES)) assert.equal(await Deno.readLink(`${DIST}${mode}`), "kata");
});
