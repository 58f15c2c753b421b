/** ttRPC frames, good and bad. @module */
import { type DescMethod, type DescService, toBinary } from "@bufbuild/protobuf";
import { RequestSchema, ResponseSchema } from "../../../src/proto/ttrpc_pb.ts";
import { joinBytes, mutateBytes } from "./bytes.ts";
import { anyMessage, anyMessageBytes, type MessageOptions } from "./message.ts";
import type { Random } from "./random.ts";
import { anyText } from "./text.ts";

/** The header says what it is told to, whatever the data is. */
export function frame(data: Uint8Array, { id, type, flags = 0 }: FrameHead, length = data.length): Uint8Array {
  const bytes = new Uint8Array(10 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length >>> 0);
  view.setUint32(4, id >>> 0);
  bytes.set([type, flags], 8);
  bytes.set(data, 10);
  return bytes;
}

export interface FrameHead {
  id: number;
  type: number;
  flags?: number;
}

/** A request of any method, which the server can read in most cases. */
export function anyRequest(random: Random, services: readonly DescService[], options: MessageOptions = {}): Uint8Array {
  const { name, parent, input } = anyMethod(random, services);
  const request = anyMessage(random, RequestSchema);
  Object.assign(request, {
    service: random.once(12) ? anyText(random).toWellFormed() : parent.typeName,
    method: random.once(12) ? anyText(random).toWellFormed() : name,
    payload: anyMessageBytes(random, input, options),
    timeoutNano: random.once(2) ? 0n : random.big({ signed: true }),
  });
  return toBinary(RequestSchema, request);
}

export function anyMethod(random: Random, services: readonly DescService[]): DescMethod {
  return random.pick(random.pick(services).methods);
}

/** An answer to a call of the method: in most cases one that the client can read. */
export function anyResponse(random: Random, method: DescMethod, options: MessageOptions = {}): Uint8Array {
  const response = anyMessage(random, ResponseSchema, { depth: 3 });
  if (!random.once(6)) delete response.status;
  response.payload = anyMessageBytes(random, method.output, options);
  return toBinary(ResponseSchema, response);
}

/** A frame that is wrong in its header, its length or its data. */
export function spoil(random: Random, bytes: Uint8Array): Uint8Array {
  switch (random.below(5)) {
    case 0: // a length that is not so, beyond the limit in some cases
      return joinBytes([random.bytes(random.pick([1, 2, 4])), bytes.subarray(4)]);
    case 1:
      return joinBytes([bytes, random.bytes(random.few(30))]);
    case 2:
      return bytes.subarray(0, random.below(bytes.length));
    default:
      return mutateBytes(random, bytes);
  }
}
