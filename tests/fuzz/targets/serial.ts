/** A virtio-serial port with junk on it: no byte of data is lost or made, no control is forged, every end ends. @module */
import { encodeControl, escapeData, SerialDecoder } from "../../../src/rpc/transport/serial_codec.ts";
import { listenSerial } from "../../../src/rpc/transport/serial_guest.ts";
import { connectSerial } from "../../../src/rpc/transport/serial_host.ts";
import { cut, joinBytes, mutateBytes } from "../core/bytes.ts";
import type { Random } from "../core/random.ts";
import { memoryPair, readToEnd } from "../core/streams.ts";
import { defineTarget, hold } from "../core/target.ts";

const NONCES = ["0123456789abcdef", "ffffffffffffffff", "0000000000000000"];

export const serial = defineTarget({
  name: "serial",
  rounds: 300,
  make: (random) => ({
    junk: cut(random, joinBytes(random.times(random.between(1, 30), () => anyPiece(random)))),
    data: anyData(random, random.pick([0, 1, 30, 3000])),
    cuts: random.between(1, 70),
  }),
  async run({ junk, data, cuts }) {
    checkRoundTrip(data, cuts);
    await talkToGuest(junk);
    await talkToHost(junk);
  },
});

/** Bytes among which those that mean something are common. */
function anyData(random: Random, length: number): Uint8Array {
  return Uint8Array.from(
    { length },
    () => random.once(2) ? random.pick([0xf5, 0, 1, 2, 0x30, 0x61]) : random.below(256),
  );
}

function anyPiece(random: Random): Uint8Array {
  const control = encodeControl(random.pick(["hello", "answer"]), random.pick(NONCES));
  switch (random.below(5)) {
    case 0:
      return control;
    case 1:
      return mutateBytes(random, control);
    case 2:
      return escapeData(anyData(random, random.few(200)));
    default:
      return anyData(random, random.few(60));
  }
}

function checkRoundTrip(data: Uint8Array, cuts: number): void {
  const sent = Uint8Array.from(escapeData(data.slice()));
  const decoder = new SerialDecoder();
  const taken: Uint8Array[] = [];
  for (let at = 0; at < sent.length; at += cuts) {
    for (const event of decoder.decode(sent.subarray(at, at + cuts))) {
      hold(event.kind === "data", "escaped data holds no control");
      taken.push(event.bytes.slice());
    }
  }
  hold(joinBytes(taken).toHex() === data.toHex(), "escaped data comes back as it was");
}

/** The host side is the liar. */
async function talkToGuest(junk: readonly Uint8Array[]): Promise<void> {
  const [host, port] = memoryPair();
  const listener = listenSerial(port);
  const answered = readToEnd(host);
  const accepting = (async () => {
    for await (const connection of listener) {
      void readToEnd(connection).catch(() => {});
      void connection.write(Uint8Array.of(1, 0xf5)).catch(() => {});
    }
  })();
  for (const piece of junk) await host.write(piece);
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
  listener.close();
  host.close();
  await accepting.catch(() => {});
  await answered;
}

/** The guest side is the liar: it answers, or not. */
async function talkToHost(junk: readonly Uint8Array[]): Promise<void> {
  const [guest, port] = memoryPair();
  const connecting = connectSerial(port, AbortSignal.timeout(20_000)).then(readToEnd, () => undefined);
  const hello = new Uint8Array(64);
  const length = await guest.read(hello) ?? 0;
  const nonce = new TextDecoder().decode(hello.subarray(2, length));
  for (const [at, piece] of junk.entries()) {
    if (at === Math.floor(junk.length / 2)) await guest.write(encodeControl("answer", nonce)).catch(() => {});
    await guest.write(piece).catch(() => {});
  }
  guest.close();
  await connecting;
}
