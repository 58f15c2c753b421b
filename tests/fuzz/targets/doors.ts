/** Small doors: the management socket, the greetings of vsock, the proof of the host, the log. @module */
import { createLogger } from "../../../src/base/log.ts";
import { exists } from "../../../src/base/files.ts";
import { connectHybridVsock } from "../../../src/rpc/transport/hybrid_vsock.ts";
import { drawHostPort } from "../../../src/rpc/transport/host_ports.ts";
import { newHostKey } from "../../../src/rpc/transport/host_key.ts";
import { admitHost, type Caller, HOST_CID, proofOf } from "../../../src/rpc/transport/host_proof.ts";
import type { Management } from "../../../src/shim_api/contract.ts";
import { serveManagement } from "../../../src/shim_api/server.ts";
import { cut, mutateBytes } from "../core/bytes.ts";
import { findFault } from "../core/faults.ts";
import { Random } from "../core/random.ts";
import { memoryPair, readToEnd } from "../core/streams.ts";
import { defineTarget, hold } from "../core/target.ts";
import { anyText, mutateText } from "../core/text.ts";
import { anyJson, type Json, mutateJson } from "../core/values.ts";

const encoder = new TextEncoder();

const ROUTES = [
  "GET /agent-url",
  "GET /metrics",
  "PUT /iptables",
  "PUT /ip6tables",
  "POST /direct-volume/stats?path=/x",
  "POST /direct-volume/resize",
  "PUT /policy",
];
const RESIZE = { volume_guest_path: "/x", size: 4096 };

const MANAGEMENT: Management = {
  agentUrl: async () => "vsock://3:1024",
  metrics: async () => "x 1\n",
  iptables: async () => "",
  setIptables: async () => {},
  ip6tables: async () => "",
  setIp6tables: async () => {},
  volumeStats: async (volume) => JSON.stringify({ volume }),
  resizeVolume: async (volume, size) =>
    hold(typeof volume === "string" && typeof size === "number", "a size is a number"),
  setPolicy: async () => {},
};

function anyHttp(random: Random): string {
  const [method, path] = random.pick(ROUTES).split(" ");
  const body = random.once(3) ? JSON.stringify(anyJson(random)) : JSON.stringify(mutateJson(random, RESIZE));
  const length = random.once(12) ? random.integer() : encoder.encode(body.toWellFormed()).length;
  const text = `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${length}\r\n\r\n${body}`;
  return (random.once(4) ? mutateText(random, text) : text).toWellFormed();
}

export const management = defineTarget({
  name: "management",
  rounds: 100,
  make: (random) => cut(random, encoder.encode(anyHttp(random))),
  async run(pieces, { inside }) {
    const path = `${inside}/management.sock`;
    if (!exists(path)) void serveManagement(path, MANAGEMENT, { signal: new AbortController().signal });
    const connection = await Deno.connect({ transport: "unix", path });
    try {
      for (const piece of pieces) await connection.write(piece);
      await connection.closeWrite();
      const answer = await new Response(connection.readable).text();
      const fault = findFault(new Error(answer.slice(answer.indexOf("\r\n\r\n") + 4)));
      if (fault !== undefined) throw fault;
    } finally {
      try {
        connection.close();
      } catch {
        // Its readable end closed it.
      }
    }
  },
});

export const hybridVsock = defineTarget({
  name: "hybrid-vsock",
  rounds: 300,
  make: (random) => {
    const good = random.pick(["OK 1024\n", "OK 5\nhello", "ERR\n", "OK"]);
    const text = random.once(10) ? anyText(random).repeat(random.between(1, 300)) : mutateText(random, good);
    return cut(random, encoder.encode((random.once(3) ? good : text).toWellFormed()));
  },
  async run(pieces, { inside }) {
    const path = `${inside}/vsock-${crypto.randomUUID()}.sock`;
    using listener = Deno.listen({ transport: "unix", path });
    const answering = (async () => {
      using peer = await listener.accept();
      await peer.read(new Uint8Array(64));
      for (const piece of pieces) await peer.write(piece).catch(() => {});
    })();
    try {
      using connection = await connectHybridVsock(path, 1024, { signal: new AbortController().signal });
      await readToEnd(connection);
    } finally {
      await answering.catch(() => {});
      Deno.removeSync(path);
    }
  },
});

const KEY = newHostKey();
const GUEST_PORT = 1024;

export const hostProof = defineTarget({
  name: "host-proof",
  rounds: 1000,
  make: (random) => ({
    cid: random.once(6) ? random.integer() : HOST_CID,
    // Undefined: one of the host's ports.
    port: random.once(3) ? random.integer() : undefined,
    usesHostPorts: random.once(2),
    // 0: the proof; else a change of it. The key is another in each process.
    change: random.once(3) ? 0 : random.between(1, 2 ** 30),
    ends: random.once(2),
    after: random.bytes(random.few(20)),
  }),
  async run({ cid, port, usesHostPorts, change, ends, after }) {
    const proof = proofOf(KEY);
    const sent = change === 0 ? proof : mutateBytes(new Random(String(change)), proof);
    const [peer, end] = memoryPair();
    const hostPort = await drawHostPort(KEY, GUEST_PORT);
    const caller = Object.assign(end, { remoteAddr: { cid, port: port ?? hostPort } }) as Caller;
    const callers = (async function* () {
      yield caller;
    })();
    const listener = Object.assign(callers, { close: () => {} });
    const served: Uint8Array[] = [];
    const admission = { key: KEY, usesHostPorts, guestPort: GUEST_PORT, onRefused: () => {} };
    await peer.write(sent).catch(() => {});
    await peer.write(after).catch(() => {});
    if (ends || change !== 0) peer.closeWrite();
    for await (const duplex of admitHost(listener, admission)) {
      served.push(sent);
      duplex.close();
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
    const isProof = sent.length >= proof.length && proof.every((byte, at) => sent[at] === byte);
    const isHost = isProof && cid === HOST_CID && (port === undefined || !usesHostPorts);
    hold(served.length === 0 || isHost, "nobody is served who has not proved to be the host");
    if (!ends) peer.close();
  },
});

export const logLines = defineTarget({
  name: "log-lines",
  rounds: 3000,
  make: (random): { message: string; fields: Json } => ({ message: anyText(random), fields: anyJson(random) }),
  run({ message, fields }) {
    const lines: string[] = [];
    const error = new Error(message, { cause: new TypeError(JSON.stringify(fields)) });
    const log = createLogger({ sink: (line) => lines.push(line) });
    log.info(message, { fields, error, big: 1n, bytes: Uint8Array.of(1) });
    hold(lines.length === 1 && !lines[0]!.includes("\n"), "a record is one line");
    hold(lines[0]!.length <= 1 << 16, "a record is bounded");
    JSON.parse(lines[0]!);
  },
});
