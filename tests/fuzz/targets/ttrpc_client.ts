/** A ttRPC client whose server lies: every call ends, with an answer of its own type or with an error. @module */
import type { DescMethod } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { AgentService } from "../../../src/proto/agent_pb.ts";
import { createTtrpcTransport } from "../../../src/rpc/ttrpc/client.ts";
import { FRAME_TYPE } from "../../../src/rpc/ttrpc/frame.ts";
import { Echo } from "../../../src/rpc/ttrpc/testing/echo_pb.ts";
import { cut, joinBytes } from "../core/bytes.ts";
import { anyMethod, anyResponse, frame, spoil } from "../core/frames.ts";
import type { Random } from "../core/random.ts";
import { memoryPair } from "../core/streams.ts";
import { defineTarget, hold } from "../core/target.ts";

export const ttrpcClient = defineTarget({
  name: "ttrpc-client",
  rounds: 300,
  make(random) {
    const calls = random.times(random.between(1, 12), () => anyMethod(random, [AgentService, Echo]));
    const frames = random.times(random.between(1, 30), () => anyAnswer(random, calls));
    return {
      calls: calls.map(({ parent, localName }) => `${parent.typeName} ${localName}`),
      pieces: cut(random, joinBytes(frames)),
    };
  },
  async run({ calls, pieces }) {
    const [server, peer] = memoryPair();
    using transport = createTtrpcTransport(peer, { peer: "the liar" });
    const clients: Record<string, object> = {
      [AgentService.typeName]: createClient(AgentService, transport),
      [Echo.typeName]: createClient(Echo, transport),
    };
    const results = calls.map((call) => {
      const [service, method] = call.split(" ");
      return settle(Reflect.get(clients[service!]!, method!));
    });
    for (const piece of pieces) await server.write(piece).catch(() => {});
    server.close();
    await transport.closed;
    for (const result of results) hold(await result instanceof Error || true, "a call ends");
  },
});

/** Unary and streaming calls alike. */
async function settle(call: (request: unknown) => unknown): Promise<unknown> {
  try {
    const answer = call(stream({}));
    if (typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer) {
      const taken = [];
      for await (const part of answer as AsyncIterable<unknown>) taken.push(part);
      return taken;
    }
    return await answer;
  } catch (error) {
    return error;
  }
}

/** A request that serves as a message and as a stream of messages. */
function stream(message: object): object {
  return Object.defineProperty(message, Symbol.asyncIterator, {
    value: async function* () {
      yield {};
    },
  });
}

function anyAnswer(random: Random, calls: readonly DescMethod[]): Uint8Array {
  const call = random.below(calls.length);
  const id = random.once(8) ? random.integer() : 2 * call + 1;
  const type = random.once(10) ? random.below(256) : random.once(6) ? FRAME_TYPE.data : FRAME_TYPE.response;
  const flags = random.once(4) ? random.below(256) : 0;
  const good = frame(anyResponse(random, calls[call]!), { id, type, flags });
  return random.once(12) ? spoil(random, good) : good;
}
