/**
 * A connection to a message bus, or to a peer that speaks its protocol.
 *
 * @see https://dbus.freedesktop.org/doc/dbus-specification.html#auth-protocol
 * @module
 */
import type { Fd } from "../linux/io/fd.ts";
import { readSome, type WaitOptions, writeAll } from "../linux/io/poll.ts";
import { connectUnix } from "../linux/net/socket.ts";
import { decodeMessage, encodeMessage, MESSAGE, type Message } from "./dbus_message.ts";
import type { Value } from "./dbus_wire.ts";

/** Where a call goes. */
export interface Target {
  destination: string;
  path: string;
  interface: string;
}

export interface Call {
  member: string;
  signature?: string;
  body?: readonly Value[];
}

/** Error that the other side answered instead of a result. */
export class DbusError extends Error {
  /** `org.freedesktop.systemd1.NoSuchUnit`… */
  readonly errorName: string;

  constructor(errorName: string, text: string) {
    super(text === "" ? errorName : `${errorName}: ${text}`);
    this.errorName = errorName;
  }
}

/** The bus itself, as an object on it. */
export const BUS: Target = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
};

export interface ConnectOptions extends WaitOptions {
  /** The other end is no bus, and knows no names. */
  isPeer?: boolean;
}

/** A connection that makes one call at a time: the owner awaits each. */
export class DbusClient implements Disposable {
  readonly #socket: Fd;
  readonly #options: ConnectOptions;
  readonly #signals: Message[] = [];
  #received: Uint8Array<ArrayBuffer> = new Uint8Array();
  #serial = 0;

  /** Use {@linkcode DbusClient.connect}. */
  constructor(socket: Fd, options: ConnectOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /**
   * Connects as the user that we are, and asks a bus for a name.
   *
   * @param path Of the unix socket.
   * @param options `signal` ends every wait of the client.
   * @throws {Error} Nobody listens there, or we are not let in.
   */
  static async connect(path: string, options: ConnectOptions = {}): Promise<DbusClient> {
    using undo = new DisposableStack();
    const socket = undo.use(connectUnix(path));
    socket.setNonblocking();
    const client = new DbusClient(socket, options);
    await client.#authenticate();
    if (!options.isPeer) await client.call(BUS, { member: "Hello" });
    undo.move();
    return client;
  }

  get isPeer(): boolean {
    return this.#options.isPeer ?? false;
  }

  async #authenticate(): Promise<void> {
    const encoder = new TextEncoder();
    const uid = encoder.encode(String(Deno.uid() ?? 0)).toHex();
    await writeAll(this.#socket, encoder.encode(`\0AUTH EXTERNAL ${uid}\r\n`), this.#options);
    const answer = await this.#readLine();
    if (!answer.startsWith("OK ")) throw new Error(`Cannot log in to the message bus: it says "${answer}"`);
    await writeAll(this.#socket, encoder.encode("BEGIN\r\n"), this.#options);
  }

  async #readLine(): Promise<string> {
    for (;;) {
      const text = new TextDecoder().decode(this.#received);
      const end = text.indexOf("\r\n");
      if (end >= 0) {
        this.#received = this.#received.slice(end + 2);
        return text.slice(0, end);
      }
      await this.#receiveMore();
    }
  }

  async #receiveMore(): Promise<void> {
    const buffer = new Uint8Array(16 << 10);
    const length = await readSome(this.#socket, buffer, this.#options);
    if (length === 0) throw new Error("Cannot go on: the message bus has closed the connection");
    const all = new Uint8Array(this.#received.length + length);
    all.set(this.#received);
    all.set(buffer.subarray(0, length), this.#received.length);
    this.#received = all;
  }

  /** Sends a message, for which the client counts. @returns Its serial. */
  async send(message: Omit<Message, "serial">): Promise<number> {
    const serial = ++this.#serial;
    await writeAll(this.#socket, encodeMessage({ ...message, serial }), this.#options);
    return serial;
  }

  /** The next message of any kind. */
  async receive(): Promise<Message> {
    for (;;) {
      const decoded = decodeMessage(this.#received);
      if (decoded === undefined) {
        await this.#receiveMore();
        continue;
      }
      this.#received = this.#received.slice(decoded.length);
      return decoded.message;
    }
  }

  /** @returns What the method returns. @throws {DbusError} */
  async call(target: Target, call: Call): Promise<readonly Value[]> {
    const serial = await this.send({ type: MESSAGE.call, ...target, ...call });
    for (;;) {
      const message = await this.receive();
      if (message.type === MESSAGE.signal) this.#signals.push(message);
      if (message.replySerial !== serial) continue;
      if (message.type === MESSAGE.reply) return message.body ?? [];
      if (message.type === MESSAGE.error) throw new DbusError(message.errorName ?? "", errorText(message));
    }
  }

  /** The next signal that `isWanted`, those included that came while a call waited. Others are dropped. */
  async signal(isWanted: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const message = this.#signals.shift() ?? await this.receive();
      if (message.type === MESSAGE.signal && isWanted(message)) return message;
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function errorText({ body = [] }: Message): string {
  return typeof body[0] === "string" ? body[0] : "";
}

/**
 * The socket of a server address such as `unix:path=/run/user/1000/bus;unix:abstract=x`: of the first that has a path.
 *
 * @throws {TypeError} None has one.
 */
export function socketPath(address: string): string {
  for (const one of address.split(";")) {
    const [, path] = /^unix:(?:.*,)?path=([^,]+)/.exec(one) ?? [];
    if (path !== undefined) return decodeURIComponent(path);
  }
  throw new TypeError(`Cannot use D-Bus address "${address}": it has no unix:path=`);
}
