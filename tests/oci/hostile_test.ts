/** Attacks on the machine by the content of an image and by a container: the ways by which runtimes were escaped. */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { listenUnix } from "../../src/linux/net/socket.ts";
import { statfs } from "../../src/linux/fs/statfs.ts";
import { MS } from "../../src/linux/mount/mount_options.ts";
import { Box, host } from "./runtime.ts";
import { test, testEach } from "./suite.ts";
import { swap } from "../system/swap.ts";
import { finish, finished } from "../support/command.ts";
import { until } from "../support/wait.ts";

/** Leaves /dev to the image. @returns Where that is. */
function imageDev(box: Box): string {
  box.spec.mounts = box.spec.mounts.filter(({ destination }: { destination: string }) => destination !== "/dev");
  return `${box.rootfs}/dev`;
}

test("CVE-2019-5736: nobody can write to the runtime's program through a process that is to be the container's", async () => {
  await using box = new Box();
  const id = box.id();
  box.save();
  await box.ok("create", "--bundle", box.bundle, id);
  const program = `/proc/${(await box.state(id)).pid}/exe`;
  const isCopy = Deno.readLinkSync(program).startsWith("/memfd:");
  assert.ok(isCopy || (statfs(program).mountFlags & MS.RDONLY) !== 0, Deno.readLinkSync(program));
});

/** Whether two processes have one memory. @see https://man7.org/linux/man-pages/man2/kcmp.2.html */
async function shareMemory(first: number, second: number): Promise<boolean> {
  const [number, KCMP_VM] = [Deno.build.arch === "x86_64" ? 312 : 272, 1];
  const order = await host("perl", "-e", `print syscall(${number}, ${first}, ${second}, ${KCMP_VM}, 0, 0)`);
  assert.match(order, /^[0123]$/);
  return order === "0";
}

/** Undefined if it has ended. */
function cgroupOf(pid: number): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cgroup`);
  } catch {
    return undefined;
  }
}

test("CVE-2016-9962: a container that may trace finds no memory of the runtime in a process that joins it", async () => {
  await using box = new Box();
  const id = box.id();
  for (const set of ["bounding", "effective", "permitted"]) box.spec.process.capabilities[set].push("CAP_SYS_PTRACE");
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  // In a paused container the process stops on its way in.
  await box.ok("pause", id);
  const [command = "", ...args] = box.words(["exec", "--ignore-paused", id, "/bin/true"]);
  const runtime = new Deno.Command(command, { args, stdout: "piped" }).spawn();
  let joining: number[] = [];
  await until(async () => {
    joining = (await host("pgrep", "-P", `${runtime.pid}`)).split("\n").filter((line) => line !== "").map(Number)
      .filter((pid) => ![undefined, cgroupOf(runtime.pid)].includes(cgroupOf(pid))); // a shell that starts the runtime has others
    return joining.length > 0;
  });
  for (const pid of joining) assert.ok(!(await shareMemory(runtime.pid, pid)));
  await box.ok("resume", id);
  assert.equal((await finished(runtime, args)).code, 0);
});

testEach([
  { command: "run" },
  { command: "exec" },
])("CVE-2024-21626: $command hands over none of its caller's descriptors", async ({ command }) => {
  await using box = new Box();
  const id = box.id();
  const script = "ls -l /proc/self/fd; true";
  box.spec.process.args = ["/bin/sh", "-c", command === "run" ? script : "sleep 100"];
  box.save();
  if (command === "exec") await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const args = command === "run" ? ["run", "--bundle", box.bundle, id] : ["exec", id, "/bin/sh", "-c", script];
  const caller = ["-c", `exec "$@" 9<${box.dir}`, "sh", ...box.words(args)];
  const { code, stdout } = await finish("/bin/sh", { args: caller });
  assert.equal(code, 0);
  const links = new TextDecoder().decode(stdout);
  assert.match(links, / 2 -> /);
  assert.doesNotMatch(links, new RegExp(`-> (${box.dir}|/sys|/$)`, "m"));
});

test("CVE-2024-21626: no working directory leads out through a descriptor of the runtime", async () => {
  await using box = new Box();
  const id = box.id();
  Deno.writeTextFileSync(`${box.dir}/secret`, "");
  Deno.symlinkSync("/proc/self/fd/9", `${box.rootfs}/work`);
  const script = "ls -d secret ../secret ../../secret ../../../etc/machine-id";
  box.sh("sleep 100").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const directories = ["/work", ...[3, 5, 7, 8, 9].map((fd) => `/proc/self/fd/${fd}`)];
  for (const cwd of directories) {
    Object.assign(box.sh(script).spec.process, { cwd });
    box.spec.linux.cgroupsPath += "x";
    box.save();
    const calls = [["run", "--bundle", box.bundle, box.id()], ["exec", "--cwd", cwd, id, "/bin/sh", "-c", script]];
    for (const words of calls) {
      const args = ["-c", `exec "$@" 9<${box.dir}`, "sh", ...box.words(words)];
      const { stdout } = await finish("/bin/sh", { args });
      assert.equal(new TextDecoder().decode(stdout), "", words.join(" "));
    }
  }
});

test("a working directory behind links of the image is made inside the root", async () => {
  await using box = new Box();
  const outside = `${box.dir}/outside`;
  Deno.mkdirSync(outside);
  Deno.symlinkSync("../../../../../../../../..", `${box.rootfs}/up`);
  box.spec.process.cwd = `/up${outside}/made`;
  await box.sh("true").run();
  assert.deepEqual([...Deno.readDirSync(outside)], []);
});

testEach([
  { what: "a link to a file", make: (null_: string) => Deno.symlinkSync("/etc/leak", null_) },
  { what: "a file", make: (null_: string) => Deno.writeTextFileSync(null_, "leak") },
])("CVE-2025-31133: a masked file reads as empty also if the image's /dev/null is $what", async ({ make }) => {
  await using box = new Box();
  make(`${imageDev(box)}/null`);
  Deno.writeTextFileSync(`${box.rootfs}/etc/leak`, "leak");
  Deno.writeTextFileSync(`${box.rootfs}/secret`, "secret");
  box.spec.linux.maskedPaths = ["/secret"];
  const { code, stdout, stderr } = await box.sh("cat /secret").run();
  assert.deepEqual([code, stdout], [0, ""], stderr);
});

test("masked and read-only paths behind links of the image are those of the image", async () => {
  await using box = new Box();
  const outside = `${box.dir}/outside`;
  Deno.mkdirSync(outside);
  Deno.writeTextFileSync(`${outside}/file`, "outside");
  Deno.mkdirSync(`${box.rootfs}${outside}`, { recursive: true });
  Deno.writeTextFileSync(`${box.rootfs}${outside}/file`, "inside");
  Deno.symlinkSync(`../../../../../..${outside}`, `${box.rootfs}/link`);
  Deno.symlinkSync("/no/such", `${box.rootfs}/dangling`);
  box.spec.linux.maskedPaths = ["/link/file", "/dangling"];
  box.spec.linux.readonlyPaths = ["/link", "/dangling"];
  assert.equal(
    await box.output(`cat ${outside}/file; (: >${outside}/new) 2>/dev/null || echo read-only`),
    "read-only",
  );
  Deno.writeTextFileSync(`${outside}/new`, ""); // the host's can be written still
  assert.equal(Deno.readTextFileSync(`${outside}/file`), "outside");
});

test("a neighbour that renames files all the time keeps nobody from starting", async () => {
  await using box = new Box();
  for (const name of ["one", "other"]) Deno.writeTextFileSync(`${box.dir}/${name}`, "");
  Deno.mkdirSync(`${box.rootfs}/srv/app`, { recursive: true });
  Deno.writeTextFileSync(`${box.rootfs}/srv/secret`, "secret");
  Deno.symlinkSync("../../../srv/app", `${box.rootfs}/work`);
  Deno.symlinkSync("../../../srv", `${box.rootfs}/link`);
  box.spec.process.cwd = "/work";
  box.spec.linux.maskedPaths = ["/link/secret"];
  await using _swapping = await swap(`${box.dir}/one`, `${box.dir}/other`);
  for (let round = 0; round < 5; round++) assert.equal(await box.output("pwd; cat /srv/secret"), "/srv/app");
  const id = box.id();
  box.sh("sleep 1000").save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  for (let round = 0; round < 5; round++) {
    assert.equal((await box.ok("exec", "--cwd", "/work", id, "/bin/pwd")).stdout, "/srv/app\n");
  }
});

testEach([
  { target: "/etc/file", why: "to a file" },
  { target: "/etc/none", why: "to nothing" },
  { target: "../../../../../../../../../../OUTSIDE/file", why: "upwards" },
  { target: "/proc/sysrq-trigger", why: "to a read-only path" },
  { target: "/proc/1/root/OUTSIDE/file", why: "through /proc" },
])("CVE-2025-52565: a /dev/console of the image that is a link $why leaves the host alone", async ({ target }) => {
  await using box = new Box();
  const id = box.id();
  const outside = `${box.dir}/outside`;
  Deno.mkdirSync(outside);
  Deno.writeTextFileSync(`${box.rootfs}/etc/file`, "");
  Deno.symlinkSync(target.replace("/OUTSIDE", outside), `${imageDev(box)}/console`);
  using _listener = listenUnix(`${box.dir}/console`);
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo");
  box.sh("sleep 100").spec.process.terminal = true;
  box.save();
  const run = ["run", "--detach", "--console-socket", `${box.dir}/console`, "--bundle", box.bundle, id];
  const { code } = await box.call(run);
  assert.deepEqual([...Deno.readDirSync(outside)], []);
  assert.equal(Deno.readTextFileSync("/proc/self/mountinfo"), mounts);
  if (code !== 0) return;
  // Either it cannot be written, or it is the terminal.
  const script = "echo h 2>/dev/null >/proc/sysrq-trigger && [ ! -c /proc/sysrq-trigger ] && echo reached; true";
  assert.equal((await box.ok("exec", id, "/bin/sh", "-c", script)).stdout, "");
});

/** A container that may mount, once it has done what the script says. */
async function mounting(box: Box, script: string): Promise<string> {
  const id = box.id();
  for (const set of ["bounding", "effective", "permitted"]) box.spec.process.capabilities[set].push("CAP_SYS_ADMIN");
  box.sh(`${script} && : >/tmp/ready; sleep 100`).save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  await until(() => exists(`${box.rootfs}/tmp/ready`));
  return id;
}

test("CVE-2025-52881: what exec writes about a process goes to the kernel, whatever the container has as /proc", async () => {
  await using box = new Box();
  const files = ["oom_score_adj", "attr/exec", "attr/apparmor/exec", "loginuid", "setgroups", "timens_offsets"];
  const places = ["self", "thread-self"].flatMap((task) => files.map((file) => `/proc/${task}/${file}`));
  const make = places.map((path) => `mkdir -p ${path.slice(0, path.lastIndexOf("/"))} && : >${path}`);
  const id = await mounting(box, `mount -t tmpfs none /proc && ${make.join(" && ")}`);
  const args = ["/bin/sleep", "100"];
  const process = { args, cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 }, oomScoreAdj: 321 };
  Deno.writeTextFileSync(`${box.dir}/process`, JSON.stringify(process));
  const flags = ["--detach", "--pid-file", `${box.dir}/pid`, "--process", `${box.dir}/process`];
  const { code } = await box.call(["exec", ...flags, id]);
  const root = `/proc/${(await box.state(id)).pid}/root`;
  for (const path of places) assert.equal(Deno.readTextFileSync(`${root}${path}`), "", path);
  if (code !== 0) return; // refused
  assert.equal(Deno.readTextFileSync(`/proc/${Deno.readTextFileSync(`${box.dir}/pid`)}/oom_score_adj`), "321\n");
});

testEach([
  { what: "a fifo", make: "busybox mkfifo ptmx" },
  { what: "a file", make: ": >ptmx" },
  { what: "a link to another's terminal", make: "ln -s /proc/1/fd/0 ptmx" },
  { what: "another device", make: "mknod ptmx c 1 5" },
])("exec --tty: $what in place of the terminals is refused", async ({ make }) => {
  await using box = new Box();
  const id = await mounting(box, `mount -t tmpfs none /dev/pts && cd /dev/pts && ${make}`);
  const words = box.words(["exec", "--tty", id, "/bin/true"]).join(" ");
  const { code } = await finish("script", { args: ["-qec", words, "/dev/null"] });
  assert.equal(code, 255);
});

const SHIFTED = [{ containerID: 0, hostID: 0, size: 1000 }];

testEach([
  { name: "a volume", maps: {} },
  { name: "1.1+: a volume with mapped ids", maps: { uidMappings: SHIFTED, gidMappings: SHIFTED } },
])("$name: what the container mounts in it is not mounted in the machine", async ({ maps }) => {
  await using box = new Box();
  const volume = `${box.dir}/volume`;
  Deno.mkdirSync(volume);
  await finish("mount", { args: ["--bind", volume, volume] });
  try {
    await finish("mount", { args: ["--make-shared", volume] });
    Deno.mkdirSync(`${volume}/below`);
    box.spec.mounts.push({ destination: "/volume", source: volume, type: "bind", options: ["rbind"], ...maps });
    await mounting(box, "mount -t tmpfs none /volume/below");
    assert.ok(!Deno.readTextFileSync("/proc/self/mountinfo").includes(`${volume}/below`));
  } finally {
    await finish("umount", { args: ["--recursive", volume] });
  }
});

testEach([
  { option: "idmap", below: "5 6" },
  { option: "ridmap", below: "100005 200006" },
])("1.1+: $option of a tree shows the owners of mounts below as $below", async ({ option, below }) => {
  await using box = new Box();
  const tree = `${box.dir}/tree`;
  Deno.mkdirSync(`${tree}/below`, { recursive: true });
  Deno.mkdirSync(`${box.dir}/other`);
  // Of the same file system, which allows it: not each kind can be mapped.
  await finish("mount", { args: ["--bind", `${box.dir}/other`, `${tree}/below`] });
  try {
    for (const file of [`${tree}/file`, `${tree}/below/file`]) {
      Deno.writeTextFileSync(file, "");
      Deno.chownSync(file, 5, 6);
    }
    const map = (hostID: number) => [{ containerID: 0, hostID, size: 1000 }];
    const maps = { uidMappings: map(100_000), gidMappings: map(200_000) };
    box.spec.mounts.push({ destination: "/tree", source: tree, type: "bind", options: ["rbind", option], ...maps });
    const { stdout, stderr } = await box.sh("busybox stat -c '%u %g' /tree/file /tree/below/file").run();
    assert.equal(stdout, `100005 200006\n${below}\n`, stderr);
  } finally {
    await finish("umount", { args: [`${tree}/below`] });
  }
});
