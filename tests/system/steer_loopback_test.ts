/** Connections to a network namespace's loopback, steered to one listener. Needs root. */
import assert from "node:assert/strict";
import type { Fd } from "../../src/linux/io/fd.ts";
import { enterNetns, newNetns } from "../../src/linux/process/namespace.ts";
import { readSome, writeAll } from "../../src/linux/io/poll.ts";
import { Rtnetlink } from "../../src/linux/net/rtnetlink.ts";
import { steerLoopback } from "../../src/linux/net/sk_lookup.ts";
import { acceptUnix } from "../../src/linux/net/socket.ts";
import { finishWriting, listenOnLoopback, localPort } from "../../src/linux/net/inet_socket.ts";

const LOOPBACK = 1;

function namespaceWithLoopback(): Fd {
  const netns = newNetns();
  using _ = enterNetns(netns);
  using netlink = new Rtnetlink();
  netlink.changeLink(LOOPBACK, { up: true });
  return netns;
}

function listenIn(netns: Fd, family: "inet" | "inet6"): Fd {
  using _ = enterNetns(netns);
  return listenOnLoopback(family, 8);
}

/** A client in the namespace. @returns What it received. */
async function talk(netns: Fd, host: string, port: number): Promise<{ success: boolean; text: string }> {
  const args = [`--net=/proc/${Deno.pid}/fd/${netns.number}`, "busybox", "nc", host, String(port)];
  const client = new Deno.Command("nsenter", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const writer = client.stdin.getWriter();
  await writer.write(new TextEncoder().encode("ping")).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stdout } = await client.output();
  return { success, text: new TextDecoder().decode(stdout) };
}

async function answer(listener: Fd): Promise<number> {
  using socket = await acceptUnix(listener);
  socket.setNonblocking();
  const buffer = new Uint8Array(16);
  let text = "";
  for (let length; (length = await readSome(socket, buffer)) > 0;) {
    text += new TextDecoder().decode(buffer.subarray(0, length));
  }
  await writeAll(socket, new TextEncoder().encode(`got ${text}`));
  finishWriting(socket);
  return localPort(socket);
}

Deno.test("steerLoopback() gives connections to any port of the loopback to its family's listener, while it holds", async () => {
  using netns = namespaceWithLoopback();
  using inet = listenIn(netns, "inet");
  using inet6 = listenIn(netns, "inet6");
  {
    using _ = steerLoopback(netns, { inet, inet6 });
    for (
      const { listener, host, port } of [
        { listener: inet, host: "127.0.0.1", port: 80 },
        { listener: inet6, host: "::1", port: 8080 },
      ]
    ) {
      const asked = answer(listener);
      assert.deepEqual(await talk(netns, host, port), { success: true, text: "got ping" }, host);
      assert.equal(await asked, port);
    }
  }
  assert.ok(!(await talk(netns, "127.0.0.1", 80)).success, "nothing is steered any more");
});

Deno.test("steerLoopback() leaves the connections of a family without a listener alone", async () => {
  using netns = namespaceWithLoopback();
  using inet = listenIn(netns, "inet");
  using _ = steerLoopback(netns, { inet });
  assert.ok(!(await talk(netns, "::1", 80)).success);
});
