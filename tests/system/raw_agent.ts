/** An agent that sends what no server of ours would: the test makes each answer's bytes. @module */
import { createLogger } from "../../src/base/log.ts";
import type { Request } from "../../src/proto/ttrpc_pb.ts";
import { listen } from "../../src/rpc/transport/address.ts";
import { FrameChannel } from "../../src/rpc/ttrpc/channel.ts";
import type { Duplex, Listener } from "../../src/rpc/transport/duplex.ts";
import { decodeRequest } from "../../src/rpc/ttrpc/envelope.ts";
import { FRAME_TYPE } from "../../src/rpc/ttrpc/frame.ts";

const RESPONSE = { type: FRAME_TYPE.response, flags: 0 };
const log = createLogger({ sink: () => {} });

/** The data of the frame that answers; undefined leaves the call open. Other frames may be sent by the channel. */
export type RawAnswer = (request: Request, channel: FrameChannel) => Uint8Array | undefined;

export class RawAgent implements AsyncDisposable {
  readonly address: string;
  readonly #answer: RawAnswer;
  readonly #listener: Listener;
  readonly #channels = new Set<FrameChannel>();
  readonly #serving: Promise<void>;

  constructor(directory: string, answer: RawAnswer) {
    this.address = `unix://${directory}/agent.sock`;
    this.#answer = answer;
    this.#listener = listen(this.address);
    this.#serving = this.#serve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const channel of this.#channels) channel.close();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const ended: Promise<void>[] = [];
    for await (const duplex of this.#listener) ended.push(this.#talk(duplex));
    await Promise.all(ended);
  }

  async #talk(duplex: Duplex): Promise<void> {
    const channel = new FrameChannel(duplex);
    this.#channels.add(channel);
    try {
      await channel.receive(({ streamId, data }) => {
        const answer = this.#answer(decodeRequest(data), channel);
        if (answer !== undefined) channel.send(streamId, RESPONSE, answer);
      });
    } catch (error) {
      log.debug("The shim has gone", { error });
    }
    channel.close();
  }
}
