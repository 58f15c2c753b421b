/**
 * Program of a machine that shows how an agent on vsock fares while others flood it: this machine is host and guest at
 * once, by the kernel's loopback. Each part is a process of its own: `serve KEY ports|none`, `flood` (as any user),
 * `host KEY`; with `ports` or `none` it starts them all. `none` is an agent that tells nobody by their port: there the
 * host gets through as long as few flood it.
 *
 * @module
 */
import { connectVsock } from "../../src/linux/net/vsock/vsock_stream.ts";
import { dial } from "../../src/rpc/transport/address.ts";
import { writeAll } from "../../src/rpc/transport/duplex.ts";
import { type HostKey, newHostKey } from "../../src/rpc/transport/host_key.ts";
import { admitHost, type CallerListener, HOST_CID } from "../../src/rpc/transport/host_proof.ts";

const PORT = 1024;
/** The kernel's own machine, under which everything of this one appears. */
const LOCAL_CID = 1;
const CID_ANY = 0xffff_ffff;
const NOBODY = 65534;
const HOST_DIALS = 5;
/** An emulated machine under load takes seconds for what takes milliseconds elsewhere. */
const HOST_DIAL_MS = 30_000;
/** Of each of two flooders: together more than the agent keeps without a proof. */
const CONNECTIONS_AT_ONCE = 150;
const REPORT_MS = 2_000;

const [part, ...args] = Deno.args;
const PARTS: Record<string, () => Promise<void>> = {
  serve: () => serve(args[0] as HostKey, { usesHostPorts: args[1] === "ports" }),
  flood,
  host: () => host(args[0] as HostKey),
};
await (PARTS[part ?? ""] ?? all)();

/** Runs host, agent and two flooders. */
async function all(): Promise<void> {
  const key = newHostKey();
  const others = [start(["serve", key, part ?? ""]), start(["flood"], NOBODY), start(["flood"], NOBODY)];
  await new Promise((resolve) => setTimeout(resolve, REPORT_MS));
  await start(["host", key]).status;
  for (const each of others) {
    each.kill("SIGKILL");
    await each.status;
  }
}

function start(words: readonly string[], uid = 0): Deno.ChildProcess {
  const program = new URL(import.meta.url).pathname;
  const flags = ["run", "-A", "--unstable-vsock", "--no-check", "--no-lock", "--no-config"];
  return new Deno.Command(Deno.execPath(), { args: [...flags, program, ...words], uid, gid: uid }).spawn();
}

async function serve(key: HostKey, { usesHostPorts }: { usesHostPorts: boolean }): Promise<void> {
  const listener = Deno.listen({ transport: "vsock", cid: CID_ANY, port: PORT });
  let refused = 0;
  const report = () => say(`# refused ${refused}`);
  setInterval(report, REPORT_MS);
  const admission = { key, usesHostPorts, guestPort: PORT, onRefused: () => void refused++ };
  for await (const connection of admitHost(asGuest(listener), admission)) {
    await writeAll(connection, new TextEncoder().encode("hello"));
    connection.close();
  }
}

/** As if all of them came from another machine. */
function asGuest(listener: Deno.VsockListener): CallerListener {
  async function* callers(): AsyncGenerator<Deno.VsockConn> {
    for await (const connection of listener) {
      const { port } = connection.remoteAddr;
      yield Object.defineProperty(connection, "remoteAddr", { value: { cid: HOST_CID, port } });
    }
  }
  return Object.assign(callers(), { close: () => listener.close() });
}

/** Connects and keeps silent, over and over. */
async function flood(): Promise<void> {
  let made = 0;
  setInterval(() => say(`# flooder of uid ${Deno.uid()} connected ${made} times`), REPORT_MS);
  await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, async () => {
    for (;;) {
      try {
        using connection = await Deno.connect({ transport: "vsock", cid: LOCAL_CID, port: PORT });
        made++;
        await connection.read(new Uint8Array(1));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }));
}

/** Dials again until it is answered, as the shim does. */
async function host(key: HostKey): Promise<void> {
  const times: number[] = [];
  let attempts = 0;
  for (let index = 0; index < HOST_DIALS; index++) {
    const begin = performance.now();
    while (performance.now() - begin < HOST_DIAL_MS) {
      attempts++;
      if (await isAnswered(key)) {
        times.push(performance.now() - begin);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  times.sort((a, b) => a - b);
  const [median, slowest] = [times[times.length >> 1] ?? 0, times.at(-1) ?? 0].map(Math.round);
  say(`# host answered ${times.length} of ${HOST_DIALS}, attempts ${attempts}, ms ${median} ${slowest}`);
}

async function isAnswered(key: HostKey): Promise<boolean> {
  try {
    using connection = await dial(`vsock://${LOCAL_CID}:${PORT}`, { key, connectFrom: connectVsock });
    return await connection.read(new Uint8Array(5)) === 5;
  } catch {
    return false;
  }
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}
