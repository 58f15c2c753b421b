/** Exec, attach and port-forward through containerd's streaming server, as `kubectl` uses them. See `cri_stream.ts`. */
import assert from "node:assert/strict";

import { pods, SLEEP, STATE } from "./pod.ts";
import { until } from "../support/wait.ts";

pods(
  "exec and attach stream both ways, with terminal, sizes, the input's end and exit codes (B1)",
  async (node, test) => {
    await using pod = await node.pod("pod");
    const container = await pod.run("one", SLEEP);

    await test.step("exec: streams apart, and the exit code", async () => {
      await using stream = await container.interact("read line; echo out $line; echo err >&2; exit 7");
      stream.write("put\n");
      assert.equal(await stream.exitCode(), 7);
      assert.deepEqual([stream.stdout, stream.stderr], ["out put\n", "err\n"]);
    });
    await test.step("exec: killed by a signal is 128 + N", async () => {
      await using stream = await container.interact("kill -TERM $$", { stdin: false });
      assert.equal(await stream.exitCode(), 143);
    });
    await test.step("exec: who hangs up ends the input, which was taken whole", async () => {
      await using stream = await container.interact("cat >/tmp/taken; echo end >>/tmp/taken; echo done; sleep 0");
      stream.write("x".repeat(100_000));
      stream.write("\n");
      await until(async () => (await container.tryExec("wc -c </tmp/taken")).stdout.trim() === "100001");
      await stream[Symbol.asyncDispose]();
      await until(async () => (await container.exec("tail -1 /tmp/taken")) === "end\n");
    });
    await test.step("exec: a terminal with its size, which changes, and Ctrl-C", async () => {
      const script =
        'tty; stty size; trap "stty size" WINCH; echo ready; while :; do read line && echo got $line; done';
      await using stream = await container.interact(script, { tty: true });
      await stream.shows(/\/dev\/pts\/\d+\r\n.*ready/s);
      stream.resize(101, 33);
      await stream.shows(/33 101/);
      stream.write("hello\n");
      await stream.shows(/got hello/);
      stream.write("\x03");
      assert.equal(await stream.exitCode(), 130);
    });
    await test.step("exec: a timeout ends the process", async () => {
      const cmd = ["/bin/sh", "-c", "exec sleep 4321"];
      await assert.rejects(container.call("ExecSync", { cmd, timeout: 1 }), /timeout|deadline/i);
      await until(async () => !(await container.exec("ps")).includes("sleep 4321"));
    });
    await test.step("exec of what is not there fails with the reason", async () => {
      await using stream = await container.interact("exec /no/such", { stdin: false });
      assert.equal(await stream.exitCode(), 127);
    });
    await test.step("attach: the input ends with the first client that had it (stdin_once)", async () => {
      const change = { stdin: true, stdin_once: true };
      const cat = await pod.run("cat", "while read line; do echo got $line; done; echo over; exit 5", change);
      const stream = await cat.attach();
      stream.write("one\n");
      await stream.shows(/got one/);
      await stream[Symbol.asyncDispose]();
      await until(async () => (await cat.status()).state === STATE.exited);
      assert.equal((await cat.status()).exit_code, 5);
      assert.deepEqual(cat.log(), ["stdout F got one", "stdout F over"]);
    });
    await test.step("attach: two clients at once see the same output, and what either writes", async () => {
      const both = await pod.run("both", "while read line; do echo got $line; done", { stdin: true });
      await using first = await both.attach();
      await using second = await both.attach();
      // containerd answers a client before it has added it: what is written at once may come too early for the second one.
      await until(() => {
        first.write("one\n");
        return second.stdout.includes("got one");
      });
      second.write("two\n");
      await Promise.all([first.shows(/got two/), second.shows(/got two/)]);
    });
    await test.step("attach: a terminal that one client leaves for the next one, with its size, until the shell exits", async () => {
      const shell = await pod.run("shell", "exec sh", { stdin: true, tty: true });
      {
        await using first = await shell.attach({ tty: true });
        first.write("stty size; echo a$((1 + 1))b\n");
        await first.shows(/a2b/);
      }
      await using second = await shell.attach({ tty: true });
      second.resize(77, 22);
      second.write("stty size; echo c$((2 + 2))d\n");
      await second.shows(/22 77\r\n.*c4d/s);
      second.write("exit 9\n");
      await until(async () => (await shell.status()).state === STATE.exited);
      assert.equal((await shell.status()).exit_code, 9);
    });
  },
);

const BIG = 4 << 20;
/** Answers how much it got, when that has ended. */
const COUNT_PORT = 7006;

/** A web server on one address only, whose page is that address. */
function serve(address: string, port: number): string {
  const root = `/tmp/${port}`;
  const host = address.includes(":") ? `[${address}]` : address;
  return `mkdir ${root}; echo on ${address} >${root}/page; ln -s /tmp/big ${root}/big; httpd -p ${host}:${port} -h ${root}`;
}

pods(
  "port-forward reaches servers in the VM: on its loopback, on the pod's address, of both families",
  async (node, test) => {
    await using pod = await node.pod("pod");
    const [inet = "", inet6 = ""] = await pod.addresses();
    const servers = Object.entries({ "127.0.0.1": 7001, "::1": 7002, [inet]: 7003, [inet6]: 7004, "0.0.0.0": 7005 });
    const count = `nc -ll -p ${COUNT_PORT} -e wc -c &`;
    const lines = [
      `truncate -s ${BIG} /tmp/big`,
      ...servers.map(([address, port]) => serve(address, port)),
      count,
      SLEEP,
    ];
    const container = await pod.run("servers", lines.join("\n"));
    await until(() => container.log().length > 0);

    await test.step("each server is found, whatever it is bound to", async () => {
      for (const [address, port] of servers) {
        await using stream = await pod.forward(port);
        stream.write("GET /page HTTP/1.0\r\n\r\n");
        await until(() => stream.text.endsWith(`\r\n\r\non ${address}\n`)).catch((cause) => {
          throw new Error(`Cannot reach the server on ${address}: ${JSON.stringify(stream.text)}`, { cause });
        });
      }
    });
    await test.step("what is large comes whole, by several connections at once", async () => {
      const page = "\r\n\r\n";
      await Promise.all([7001, 7002, 7005].map(async (port) => {
        await using stream = await pod.forward(port);
        stream.write("GET /big HTTP/1.0\r\n\r\n");
        assert.equal(await stream.error(), "");
        assert.equal(stream.text.length - stream.text.indexOf(page) - page.length, BIG);
      }));
    });
    await test.step("what is large goes whole, and its end passes by itself", async () => {
      const netns = await node.netnsOf(pod);
      for (const address of ["127.0.0.1", "::1"]) {
        const script = `head -c ${BIG} /dev/zero | busybox nc ${address} ${COUNT_PORT}`;
        const { stdout } = await node.containerd.run(["nsenter", `--net=${netns}`, "sh", "-c", script]);
        assert.equal(stdout, `${BIG}\n`, address);
      }
    });
    await test.step("a port where nobody listens is an error", async () => {
      await using stream = await pod.forward(7009);
      assert.match(await stream.error(), /reset|refused/);
    });
  },
);
