/**
 * The shared file system beside a local one: one battery of cases (`posix/program.ts`), done on the host and in
 * containers, on a volume and on the root file system, and what two processes have of each other by a file.
 */
import assert from "node:assert/strict";
import { exists } from "../../src/base/files.ts";
import { type PodContainer, pods, SLEEP } from "./pod.ts";
import type { Finding } from "./posix/calls.ts";
import { DIFFERENCES, MEETINGS, OVERLAY } from "./posix/expected.ts";
import { C_DAEMON, shareDaemon } from "../support/share_daemon.ts";
import { until } from "../support/wait.ts";

const REPO = new URL("../../", import.meta.url).pathname;
const DENO = Deno.execPath();
const PROGRAM = "/repo/tests/interop/posix/program.ts";
const RUN = "run --no-check --no-config --no-lock -A";

/** The host's programs and libraries, and the battery, which a container gets read-only. */
const MOUNTS = [
  { container_path: "/usr", host_path: "/usr", readonly: true },
  { container_path: "/lib", host_path: "/usr/lib", readonly: true },
  { container_path: "/lib64", host_path: "/usr/lib64", readonly: true },
  { container_path: "/deno", host_path: DENO, readonly: true },
  { container_path: "/repo/src", host_path: `${REPO}src`, readonly: true },
  { container_path: "/repo/tests", host_path: `${REPO}tests`, readonly: true },
].filter(({ host_path }) => exists(host_path)); // arm64 has no /usr/lib64

/** Capabilities of a pod's container which are what the host's process is left with. */
const CONTAINER_RIGHTS =
  "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot " +
  "mknod audit_write setfcap";

function command(mode: string, directory: string): string {
  return `env DENO_DIR=/tmp/deno /deno ${RUN} ${PROGRAM} ${mode} ${directory}`;
}

async function foundOnHost(mode: string, directory: string): Promise<Record<string, Finding>> {
  const rights = `-all,${CONTAINER_RIGHTS.split(" ").map((right) => `+${right}`).join(",")}`;
  const args = [
    "--bounding-set",
    rights,
    DENO,
    ...RUN.split(" "),
    `${REPO}tests/interop/posix/program.ts`,
    mode,
    directory,
  ];
  const { stdout, stderr } = await new Deno.Command("setpriv", { args, stdin: "null" }).output();
  const decoder = new TextDecoder();
  return readFound([decoder.decode(stdout)], decoder.decode(stderr));
}

function readFound(lines: readonly string[], stderr: string): Record<string, Finding> {
  const [, found] = /^(?:.* )?FOUND (.*)$/m.exec(lines.join("\n")) ?? [];
  assert.ok(found !== undefined, `${lines.join("\n")}${stderr}`);
  return JSON.parse(found);
}

async function foundIn(container: PodContainer, mode: string, directory: string): Promise<Record<string, Finding>> {
  const cmd = ["/bin/sh", "-c", command(mode, directory)];
  const { stdout, stderr } = await container.call("ExecSync", { cmd, timeout: 200 });
  const decoder = new TextDecoder();
  return readFound([decoder.decode(stdout)], decoder.decode(stderr));
}

/** Findings that the battery is to have, from what it found on the local file system. */
function expected(local: Record<string, Finding>, where: "root" | "volume", isC: boolean): Record<string, Finding> {
  const differing = Object.entries(DIFFERENCES).filter(([, { only }]) => only === undefined || isC);
  const shared = differing.map(([name, { found }]) => [name, found]);
  return { ...local, ...(where === "root" && OVERLAY), ...Object.fromEntries(shared) };
}

const isC = shareDaemon() === C_DAEMON;
const ROOM = { configure: (toml: string) => toml.replace("default_memory = 512", "default_memory = 1024") };

pods(
  "kubernetes K1, pods A1, A2, A3, A5, B5: shared files are as local ones, but for what the table names",
  async (node, test) => {
    const directory = `${node.containerd.directory}/posix`;
    for (const name of ["local", "volume", "met"]) Deno.mkdirSync(`${directory}/${name}`, { recursive: true });
    Deno.chmodSync(node.containerd.directory, 0o755);
    const mounts = [
      ...MOUNTS,
      { container_path: "/data", host_path: `${directory}/volume` },
      { container_path: "/met", host_path: `${directory}/met` },
    ];
    await using pod = await node.pod("pod");
    const running = pod.run("one", `mkdir -p /tmp/root && exec ${command("hold", "/met")}`, { mounts });
    const local = await foundOnHost("cases", `${directory}/local`);
    const one = await running;
    const holds = () => one.log().some((line) => line.includes("HOLDING"));
    await until(holds, { ms: 120_000 }).catch(() => assert.fail(`It does not hold: ${one.log().join("\n")}`));
    const cases = async (where: "root" | "volume", path: string) => {
      assert.deepEqual(await foundIn(one, "cases", path), expected(local, where, isC));
    };
    await test.step("a volume", () => cases("volume", "/data"));
    await test.step("the root file system", () => cases("root", "/tmp/root"));
    await test.step("two processes of a container, of a pod, of two pods and of the host", async () => {
      const inPod = Object.fromEntries(Object.entries(MEETINGS).map(([name, { inPod }]) => [name, inPod]));
      const elsewhere = Object.fromEntries(Object.entries(MEETINGS).map(([name, { elsewhere }]) => [name, elsewhere]));
      assert.deepEqual(await foundIn(one, "meet", "/met"), inPod, "one container");
      const two = await pod.run("two", SLEEP, { mounts });
      assert.deepEqual(await foundIn(two, "meet", "/met"), inPod, "two containers of a pod");
      await two.stop();
      await two.remove();
      const three = await pod.run("three", SLEEP, { mounts });
      assert.deepEqual(await foundIn(three, "meet", "/met"), inPod, "one that came after another has gone");
      assert.deepEqual(await foundOnHost("meet", `${directory}/met`), elsewhere, "the host");
      await using other = await node.pod("other");
      assert.deepEqual(await foundIn(await other.run("one", SLEEP, { mounts }), "meet", "/met"), elsewhere, "two pods");
    });
  },
  ROOM,
);
