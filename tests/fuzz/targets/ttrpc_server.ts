/** A ttRPC server that any peer talks to: each connection ends, each call gets at most one answer. @module */
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createLogger } from "../../../src/base/log.ts";
import { AgentService } from "../../../src/proto/agent_pb.ts";
import { Health } from "../../../src/proto/health_pb.ts";
import { Task } from "../../../src/proto/task_v3_pb.ts";
import { FRAME_TYPE, FrameDecoder } from "../../../src/rpc/ttrpc/frame.ts";
import { defineService, serveConnection } from "../../../src/rpc/ttrpc/server.ts";
import { say } from "../../../src/rpc/ttrpc/testing/echo.ts";
import { Echo } from "../../../src/rpc/ttrpc/testing/echo_pb.ts";
import { cut, joinBytes } from "../core/bytes.ts";
import { anyRequest, frame, spoil } from "../core/frames.ts";
import type { Random } from "../core/random.ts";
import { type MemoryEnd, memoryPair } from "../core/streams.ts";
import { defineTarget, hold } from "../core/target.ts";

const SERVICES: readonly DescService[] = [Echo, Health, AgentService, Task];
const log = createLogger({ sink: () => {} });

/** Answers, refuses and keeps silent; the methods it has not are UNIMPLEMENTED. */
const services = [
  defineService(Echo, { say }),
  defineService(Health, { check: () => ({ status: 1 }) }),
  defineService(AgentService, {
    createSandbox: () => Promise.reject(new ConnectError("no", Code.FailedPrecondition)),
    statsContainer: () => ({}),
    waitProcess: () => new Promise(() => {}),
    writeStdin: ({ data }) => ({ len: data.length }),
    readStdout: ({ len }) => ({ data: new Uint8Array(Math.min(len, 1 << 16)) }),
  }),
  defineService(Task, {
    state: ({ id }) => {
      throw new TypeError(id);
    },
    pids: async () => ({}),
  }),
];

export const ttrpcServer = defineTarget({
  name: "ttrpc-server",
  rounds: 300,
  make: (random) => ({
    pieces: cut(random, joinBytes(random.times(random.between(1, 40), (at) => anyFrame(random, at)))),
  }),
  async run({ pieces }) {
    const [peer, server] = memoryPair();
    const signal = new AbortController().signal;
    const serving = serveConnection(server, services, { signal, log, lingerMs: 0, drainMs: 0, maxCalls: 64 });
    for (const piece of pieces) peer.incoming.length < 1000 && await peer.write(piece).catch(() => {});
    peer.closeWrite();
    await serving;
    await checkAnswers(peer);
  },
});

function anyFrame(random: Random, at: number): Uint8Array {
  const id = random.once(8) ? random.integer() : 2 * at + 1;
  const type = random.once(10) ? random.below(256) : random.once(5) ? FRAME_TYPE.data : FRAME_TYPE.request;
  const flags = random.once(4) ? random.below(256) : 0;
  const good = frame(anyRequest(random, SERVICES), { id, type, flags });
  if (random.once(60)) {
    return frame(random.bytes(100), { id, type }, random.pick([2 ** 22, 2 ** 22 + 1, 2 ** 31, 2 ** 32 - 1]));
  }
  return random.once(20) ? spoil(random, good) : good;
}

/** Checks that the server sent frames, and no more responses than its peer has streams. */
async function checkAnswers(peer: MemoryEnd): Promise<void> {
  const decoder = new FrameDecoder();
  for (let count; (count = await peer.read(decoder.space())) !== null;) {
    decoder.filled(count);
    for (let sent; (sent = decoder.next()) !== undefined;) {
      hold(sent.skippedBytes === 0, "no answer is longer than the limit");
      hold(sent.type === FRAME_TYPE.response || sent.type === FRAME_TYPE.data, "a server sends responses and data");
    }
  }
}
