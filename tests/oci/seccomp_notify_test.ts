/** Filters that ask an agent: the listener goes to `listenerPath` with the state of the container and the process. */
import assert from "node:assert/strict";
import { ERRNO } from "../../src/linux/ffi/errno.ts";
import type { Fd } from "../../src/linux/io/fd.ts";
import { ioctl } from "../../src/linux/ffi/ioctl.ts";
import { LITTLE_ENDIAN } from "../../src/linux/ffi/libc.ts";
import { readable } from "../../src/linux/io/poll.ts";
import { acceptUnix, listenUnix, receiveFds } from "../../src/linux/net/socket.ts";
import { Box, runUntraced, type Spec } from "./runtime.ts";
import { test, testEach } from "./suite.ts";

const NOTIF_RECV = { name: "SECCOMP_IOCTL_NOTIF_RECV", number: 0xc050_2100 };
const NOTIF_SEND = { name: "SECCOMP_IOCTL_NOTIF_SEND", number: 0xc018_2101 };

/** Message over the socket, of which only the parts that are tested have a type. */
interface ProcessState {
  ociVersion: string;
  fds: string[];
  pid: number;
  metadata?: string;
  state: { id: string; status: string; pid: number; bundle: string; annotations?: unknown };
}

/** Listens for the next filter, and answers its notifications with an errno. */
class Agent implements AsyncDisposable {
  readonly #socket: Fd;
  readonly #stop = new AbortController();

  constructor(path: string) {
    this.#socket = listenUnix(path);
  }

  /** Takes one connection, and answers the first notification of its filter with `errno`. */
  async answerOne(errno: number): Promise<ProcessState> {
    const { signal } = this.#stop;
    using connection = await acceptUnix(this.#socket, { signal });
    using fds = new DisposableStack();
    const received: Fd[] = [];
    let text = "";
    // Not to the end of the stream: runc leaves it open.
    for (const buffer = new Uint8Array(4096); !isJson(text);) {
      await readable(connection, { signal });
      const { length, fds: more } = receiveFds(connection, buffer);
      received.push(...more.map((fd) => fds.use(fd)));
      assert.notEqual(length, 0, text);
      text += new TextDecoder().decode(buffer.subarray(0, length));
    }
    assert.equal(received.length, 1);
    await readable(received[0]!, { signal });
    const notification = new Uint8Array(80); // struct seccomp_notif: u64 id first
    ioctl(received[0]!, NOTIF_RECV, { argument: notification });
    const response = new DataView(new ArrayBuffer(24)); // struct seccomp_notif_resp
    response.setBigUint64(0, new DataView(notification.buffer).getBigUint64(0, LITTLE_ENDIAN), LITTLE_ENDIAN);
    response.setInt32(16, -errno, LITTLE_ENDIAN);
    ioctl(received[0]!, NOTIF_SEND, { argument: new Uint8Array(response.buffer) });
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#socket[Symbol.dispose]();
  }
}

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== undefined;
  } catch {
    return false;
  }
}

function notifying(spec: Spec, path: string): void {
  spec.linux.seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    listenerPath: path,
    listenerMetadata: "for the agent",
    syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY" }],
  };
}

const SCRIPT = "mkdir /tmp/x 2>&1; true";
const ANSWER = /No message of desired type/;

testEach([{ noNewPrivileges: true }, { noNewPrivileges: false }])(
  "seccomp: SCMP_ACT_NOTIFY asks the agent, noNewPrivileges $noNewPrivileges",
  async ({ noNewPrivileges }) => {
    await using box = new Box();
    await using agent = new Agent(`${box.dir}/agent`);
    const id = box.id();
    notifying(box.spec, `${box.dir}/agent`);
    box.spec.process.noNewPrivileges = noNewPrivileges;
    box.spec.annotations = { key: "value" };
    const [{ stdout, stderr }, message] = await Promise.all([box.sh(SCRIPT).run(id), agent.answerOne(ERRNO.ENOMSG)]);
    assert.match(stdout, ANSWER, stderr);
    const { ociVersion, fds, pid, metadata, state } = message;
    assert.match(ociVersion, /^1\./);
    assert.deepEqual([fds, metadata], [["seccompFd"], "for the agent"]);
    const { status, bundle, annotations } = state;
    assert.deepEqual([state.id, status, bundle, annotations], [id, "creating", box.bundle, { key: "value" }]);
    assert.ok(pid > 0 && state.pid === pid);
  },
);

testEach([{ noNewPrivileges: true }, { noNewPrivileges: false }])(
  "seccomp: SCMP_ACT_NOTIFY asks for a container beside another, noNewPrivileges $noNewPrivileges",
  async ({ noNewPrivileges }) => {
    await using box = new Box();
    const neighbour = box.id();
    box.sh("sleep 1000").save();
    await box.ok("run", "--detach", "--bundle", box.bundle, neighbour);
    await using agent = new Agent(`${box.dir}/agent`);
    const id = box.id();
    notifying(box.spec, `${box.dir}/agent`);
    box.spec.process.noNewPrivileges = noNewPrivileges;
    box.spec.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${
      (await box.state(neighbour)).pid
    }/ns/pid`;
    box.spec.linux.cgroupsPath += "-beside";
    box.sh(SCRIPT).save();
    await box.ok("create", "--bundle", box.bundle, id);
    const { pid } = await box.state(id);
    const [, message] = await Promise.all([box.ok("start", id), agent.answerOne(ERRNO.ENOMSG)]);
    assert.deepEqual([message.pid, message.state.pid, message.state.status], [pid, pid, "creating"]);
  },
);

test("seccomp: SCMP_ACT_NOTIFY of an exec hands over a listener of its own", async () => {
  await using box = new Box();
  await using agent = new Agent(`${box.dir}/agent`);
  const id = box.id();
  notifying(box.spec, `${box.dir}/agent`);
  const init = agent.answerOne(ERRNO.ENOMSG);
  box.sh(`${SCRIPT}; sleep 100`).save();
  await box.ok("run", "--detach", "--bundle", box.bundle, id);
  const first = await init;
  const [{ stdout, stderr }, { pid, state }] = await Promise.all([
    box.call(["exec", "--pid-file", `${box.dir}/pid`, id, "/bin/sh", "-c", SCRIPT]),
    agent.answerOne(ERRNO.ENOMSG),
  ]);
  assert.match(stdout, ANSWER, stderr);
  assert.equal(pid, Number(Deno.readTextFileSync(`${box.dir}/pid`)));
  assert.notEqual(pid, first.pid);
  assert.deepEqual([state.id, state.status, state.pid], [id, "running", first.pid]);
});

testEach([
  { what: "an agent that does not listen", listenerPath: "/no/such/agent", why: /\/no\/such\/agent/ },
  { what: "a profile that names no agent", listenerPath: undefined, why: /listenerPath/i },
])("seccomp: SCMP_ACT_NOTIFY with $what is an error, and nothing is left", async ({ listenerPath, why }) => {
  await using box = new Box();
  const id = box.id();
  notifying(box.spec, "");
  box.spec.linux.seccomp.listenerPath = listenerPath;
  if (listenerPath === undefined) delete box.spec.linux.seccomp.listenerMetadata;
  const { code, stderr } = await box.run(id);
  assert.equal(code, 1);
  assert.match(stderr, why);
  assert.notEqual((await box.call(["state", id])).code, 0);
});

testEach([{ noNewPrivileges: true }, { noNewPrivileges: false }])(
  "runk 11: SCMP_ACT_NOTIFY where the caller may trace nobody, noNewPrivileges $noNewPrivileges",
  async ({ noNewPrivileges }) => {
    await using box = new Box();
    await using agent = new Agent(`${box.dir}/agent`);
    notifying(box.spec, `${box.dir}/agent`);
    box.spec.process.noNewPrivileges = noNewPrivileges;
    // It stays without a question if there is no container.
    const answered = agent.answerOne(ERRNO.ENOMSG).catch(() => {});
    const [code, output] = await runUntraced(box.sh(SCRIPT));
    if (code === 0) {
      assert.match(output, ANSWER);
      await answered;
    } else assert.match(output, /CAP_SYS_PTRACE/);
  },
);
