/** The container engine on the real kernel: who a process is and what it may do. Needs root and busybox-static. */
import assert from "node:assert/strict";
import { pipe } from "../../src/linux/io/fd.ts";
import { readText } from "../../src/linux/io/fd_stream.ts";
import { Container } from "../../src/oci/container/container.ts";
import type { Process } from "../../src/oci/spec/spec.ts";
import { Bundle, codeOf, isReady, NOT_READY, readAll, TestContainer } from "./oci_bundle.ts";
import { leftOut } from "../../src/base/testing/left_out.ts";

const ignore = leftOut(import.meta, !isReady() && NOT_READY);

function process(args: readonly string[], change: Partial<Process> = {}): Process {
  return { user: { uid: 0, gid: 0 }, args: [...args], env: ["PATH=/bin"], cwd: "/", ...change };
}

Deno.test({ name: "A process has the user, groups, umask, directory and home it asks for", ignore }, async () => {
  using bundle = new Bundle();
  const script = "id -u; id -g; id -G; umask; pwd; echo $HOME";
  const { output } = await bundle.run(["sh", "-c", script], ({ process }) => {
    process.user = { uid: 1000, gid: 1000, additionalGids: [7, 8], umask: 0o077 };
    process.cwd = "/made/for/it";
    process.capabilities = {};
  });
  assert.deepEqual(output.split("\n"), ["1000", "1000", "1000 7 8", "0077", "/made/for/it", "/home/user"]);
});

const CHOWN = 1n << 0n;
const KILL = 1n << 5n;

Deno.test({ name: "A process has exactly the capabilities of its five sets", ignore }, async () => {
  using bundle = new Bundle();
  const { output } = await bundle.run(["grep", "^Cap", "/proc/self/status"], ({ process }) => {
    process.user = { uid: 1000, gid: 1000 };
    process.capabilities = {
      bounding: ["CAP_CHOWN", "CAP_KILL"],
      permitted: ["CAP_CHOWN", "CAP_KILL"],
      inheritable: ["CAP_KILL"],
      effective: ["CAP_KILL"],
      ambient: ["CAP_KILL"],
    };
  });
  const sets = Object.fromEntries(
    output.split("\n").map((line) => {
      const [name, hex] = line.split(":\t");
      return [name, BigInt(`0x${hex}`)];
    }),
  );
  // After execve as an ordinary user only the ambient set is kept.
  assert.deepEqual(sets, { CapInh: KILL, CapPrm: KILL, CapEff: KILL, CapBnd: CHOWN | KILL, CapAmb: KILL });
});

Deno.test({ name: "A process without capabilities has none, and no_new_privs is set", ignore }, async () => {
  using bundle = new Bundle();
  const { output } = await bundle.run(["grep", "-E", "^(Cap|NoNew|Seccomp:)", "/proc/self/status"], ({ process }) => {
    delete process.capabilities;
  });
  assert.doesNotMatch(output.replaceAll(/^(No|Sec).*$/gm, ""), /[1-9a-f]{1,}$/m);
  assert.match(output, /NoNewPrivs:\t1/);
  assert.match(output, /Seccomp:\t0/);
});

Deno.test({ name: "Resource limits hold", ignore }, async () => {
  using bundle = new Bundle();
  const { output } = await bundle.run(["sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c"], ({ process }) => {
    process.rlimits = [
      { type: "RLIMIT_NOFILE", soft: 50, hard: 60 },
      { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    ];
  });
  assert.equal(output, "50\n60\n0");
});

Deno.test.each([{ noNewPrivileges: true }, { noNewPrivileges: false }])(
  "A seccomp filter refuses what it lists, with noNewPrivileges $noNewPrivileges",
  { ignore },
  async ({ noNewPrivileges }) => {
    using bundle = new Bundle();
    const script = "grep Seccomp: /proc/self/status; mkdir /tmp/x; touch /tmp/y && echo touched";
    const { output } = await bundle.run(["sh", "-c", script], ({ process, linux }) => {
      process.noNewPrivileges = noNewPrivileges;
      linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["mkdir", "mkdirat", "nonsense"], action: "SCMP_ACT_ERRNO", errnoRet: 42 }],
      };
    });
    assert.match(output, /Seccomp:\t2/);
    assert.match(output, /can't create directory '\/tmp\/x': No message of desired type/);
    assert.match(output, /touched$/);
  },
);

Deno.test({ name: "A seccomp profile that cannot be obeyed is refused before anything runs", ignore }, async () => {
  using bundle = new Bundle();
  const spec = bundle.spec(["true"], ({ linux }) => linux.seccomp = { defaultAction: "SCMP_ACT_NONSENSE" });
  await assert.rejects(Container.create(bundle.options(spec)), { code: "INVALID_ARGUMENT" });
  assert.deepEqual(bundle.leftovers(), []);
});

Deno.test({ name: "Sysctls, hostname and domainname are set in the container's namespaces only", ignore }, async () => {
  using bundle = new Bundle();
  const files = ["kernel/shm_rmid_forced", "net/ipv4/ip_unprivileged_port_start", "kernel/domainname"];
  const before = Deno.readTextFileSync("/proc/sys/kernel/shm_rmid_forced");
  const { output } = await bundle.run(["cat", ...files.map((file) => `/proc/sys/${file}`)], (spec) => {
    spec.domainname = "example.org";
    spec.linux.sysctl = { "kernel.shm_rmid_forced": "1", "net.ipv4.ip_unprivileged_port_start": "80" };
  });
  assert.equal(output, "1\n80\nexample.org");
  assert.equal(Deno.readTextFileSync("/proc/sys/kernel/shm_rmid_forced"), before);
});

Deno.test({ name: "A new network namespace has its loopback up", ignore }, async () => {
  using bundle = new Bundle();
  const { output } = await bundle.run(["cat", "/sys/class/net/lo/flags"]);
  assert.equal(Number(output) & 1, 1);
});

Deno.test(
  { name: "oomScoreAdj is the container's own, never ours; scheduling and personality too", ignore },
  async () => {
    using bundle = new Bundle();
    const ours = Deno.readTextFileSync("/proc/self/oom_score_adj");
    const spec = bundle.spec(["sleep", "100"], ({ process, linux }) => {
      process.oomScoreAdj = 500;
      process.scheduler = { policy: "SCHED_BATCH", nice: 5 };
      process.ioPriority = { class: "IOPRIO_CLASS_IDLE", priority: 0 };
      linux.personality = { domain: "LINUX32" };
    });
    await using made = await TestContainer.create(bundle.options(spec));
    await made.container.start();
    assert.equal(Deno.readTextFileSync(`/proc/${made.container.pid}/oom_score_adj`), "500\n");
    assert.equal(Deno.readTextFileSync("/proc/self/oom_score_adj"), ours);
    assert.match(Deno.readTextFileSync(`/proc/${made.container.pid}/sched`), /policy\s*:\s*3/);
    assert.match(Deno.readTextFileSync(`/proc/${made.container.pid}/personality`), /^00000008/);
    const joined = await made.container.exec(process(["sleep", "100"]));
    assert.equal(Deno.readTextFileSync(`/proc/${joined.pid}/oom_score_adj`), "500\n");
    assert.equal(Deno.readTextFileSync("/proc/self/oom_score_adj"), ours);
  },
);

Deno.test({ name: "oomScoreAdj below what we may set is left out, and the container runs", ignore }, async () => {
  using bundle = new Bundle();
  const { code } = await bundle.run(["true"], ({ process }) => process.oomScoreAdj = -998);
  assert.equal(code, 0);
});

Deno.test(
  { name: "A terminal is the container's own, on all three descriptors and /dev/console", ignore },
  async () => {
    using bundle = new Bundle();
    const script = "tty; stty size; echo console >/dev/console; ls -l /proc/self/fd/0 | grep -o 'pts/.*'";
    const spec = bundle.spec(["sh", "-c", script], ({ process }) => {
      process.terminal = true;
      process.consoleSize = { height: 33, width: 99 };
    });
    const container = await Container.create(bundle.options(spec));
    using terminal = container.init?.console;
    assert.ok(terminal);
    await container.start();
    assert.equal(await codeOf(container.init), 0);
    assert.equal(await readText(terminal), "/dev/pts/0\r\n33 99\r\nconsole\r\npts/0\r\n");
    await container.delete();
  },
);

Deno.test({ name: "Container.exec() opens a terminal in the container's devpts", ignore }, async () => {
  using bundle = new Bundle();
  await using made = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"])));
  await made.container.start();
  const shell = process(["sh", "-c", "tty; read line; echo got $line"], { terminal: true });
  const joined = await made.container.exec(shell);
  using terminal = joined.console;
  assert.ok(terminal);
  terminal.writeAll(new TextEncoder().encode("word\n"));
  assert.equal(await codeOf(joined), 0);
  assert.match(await readText(terminal), /\/dev\/pts\/0\r\n(.*\r\n)?got word\r\n$/s);
});

Deno.test({ name: "A container in a user namespace is root of its own ids only", ignore }, async () => {
  using bundle = new Bundle();
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const script =
    "id -u; cat /proc/self/uid_map; echo x >/dev/null && echo null; touch /etc/x; touch /tmp/mine && echo made";
  Deno.chmodSync(`${bundle.rootfs}/tmp`, 0o777);
  const spec = bundle.spec(["sh", "-c", script], ({ linux }) => {
    linux.namespaces!.push({ type: "user" }, { type: "cgroup" });
    linux.uidMappings = mappings;
    linux.gidMappings = mappings;
  });
  await using made = await TestContainer.create(bundle.options(spec));
  await made.container.start();
  assert.equal(await codeOf(made.container.init), 0);
  const output = await made.output;
  assert.match(output, /^0\n\s+0\s+100000\s+65536\nnull\n/);
  assert.match(output, /\/etc\/x: Permission denied\nmade\n$/);
  assert.equal(Deno.statSync(`${bundle.rootfs}/tmp/mine`).uid, 100_000);
});

Deno.test({ name: "Container.exec() joins a user namespace, as its root", ignore }, async () => {
  using bundle = new Bundle();
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const spec = bundle.spec(["sleep", "100"], ({ linux, process }) => {
    process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 500, hard: 600 }];
    linux.namespaces!.push({ type: "user" });
    linux.uidMappings = mappings;
    linux.gidMappings = mappings;
  });
  await using made = await TestContainer.create(bundle.options(spec));
  await made.container.start();
  using output = pipe();
  const joined = await made.container.exec(process(["id", "-u"]), { stdio: { stdout: output.write } });
  assert.equal(await readAll(output), "0\n");
  assert.equal(await codeOf(joined), 0);
  assert.match(Deno.readTextFileSync(`/proc/${made.container.pid}/limits`), /Max open files +500 +600/);
});

Deno.test({ name: "A container joins the namespaces of another by path", ignore }, async () => {
  using bundle = new Bundle();
  await using first = await TestContainer.create(bundle.options(bundle.spec(["sleep", "100"])));
  await first.container.start();
  const joined = (["ipc", "uts", "pid"] as const).map((type) => ({
    type,
    path: `/proc/${first.container.pid}/ns/${type}`,
  }));
  const { output } = await bundle.run(["sh", "-c", "hostname; cat /proc/1/cmdline"], (spec) => {
    delete spec.hostname;
    spec.linux.namespaces = [{ type: "mount" }, ...joined];
  });
  assert.equal(output, "box\nsleep\u0000100\u0000");
});

Deno.test({ name: "A process inherits nothing of ours but its descriptors", ignore }, async () => {
  using bundle = new Bundle();
  const listed = await bundle.run(["ls", "/proc/self/fd"]);
  assert.deepEqual(listed.output.split("\n"), ["0", "1", "2", "3"]); // 3 is ls' own
  assert.equal((await bundle.run(["env"])).output, "PATH=/bin\nHOME=/root");
  const { output } = await bundle.run(["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]);
  assert.doesNotMatch(output.replaceAll(/^\w+/gm, ""), /[1-9a-f]/);
});

const kernel = Deno.osRelease().split(".").map(Number);
const isOld = kernel[0]! < 6 || (kernel[0] === 6 && kernel[1]! < 2);
const ignoreTime = ignore || leftOut(import.meta, isOld && "Linux before 6.2 moves no thread into a time namespace");

Deno.test({ name: "A time namespace shifts the container's clock", ignore: ignoreTime }, async () => {
  using bundle = new Bundle();
  const { output } = await bundle.run(["cat", "/proc/uptime"], ({ linux }) => {
    linux.namespaces!.push({ type: "time" });
    linux.timeOffsets = { boottime: { secs: 10_000_000 } };
  });
  assert.ok(Number(output.split(" ")[0]) > 10_000_000, output);
});
