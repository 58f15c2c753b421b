/**
 * The client's end of containerd's streaming server: what a kubelet relays for `kubectl exec`, `attach` and
 * `port-forward`. Several channels share a WebSocket; the first byte of each message is the channel.
 *
 * @module
 */
import assert from "node:assert/strict";
import { until } from "../support/wait.ts";

const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4 } as const;
const END_MS = 60_000;

/** A WebSocket with channels. Disposing it closes it. */
class Channels implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #received = new Map<number, Uint8Array[]>();
  readonly #closed: Promise<void>;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(new Uint8Array(data));
    this.#closed = new Promise((resolve) => socket.onclose = () => resolve());
  }

  static async open(url: string, protocol: string): Promise<Channels> {
    const socket = new WebSocket(url.replace(/^http/, "ws"), [protocol]);
    const channels = new Channels(socket);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => reject(new Error(`Cannot open ${url}: ${(event as ErrorEvent).message}`));
    });
    socket.onerror = () => {};
    return channels;
  }

  send(channel: number, data: Uint8Array): void {
    const message = new Uint8Array(1 + data.length);
    message[0] = channel;
    message.set(data, 1);
    this.#socket.send(message);
  }

  text(channel: number): string {
    const decoder = new TextDecoder("latin1");
    return this.#parts(channel).map((part) => decoder.decode(part)).join("");
  }

  /** Resolves when the server has closed it. */
  async ended(): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`Cannot see the stream end within ${END_MS} ms`)), END_MS);
    await Promise.race([this.#closed, late]).finally(() => clearTimeout(timer));
  }

  #receive(message: Uint8Array): void {
    const [channel = 0] = message;
    this.#received.set(channel, this.#parts(channel));
    this.#parts(channel).push(message.subarray(1));
  }

  #parts(channel: number): Uint8Array[] {
    return this.#received.get(channel) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.readyState <= WebSocket.OPEN) this.#socket.close();
    await this.#closed;
  }
}

/** An exec or attach. Disposing it hangs up, which ends the process's input. */
export class ProcessStream implements AsyncDisposable {
  readonly #channels: Channels;

  constructor(channels: Channels) {
    this.#channels = channels;
  }

  /** @param url As `Exec` or `Attach` answered it. */
  static async open(url: string): Promise<ProcessStream> {
    return new ProcessStream(await Channels.open(url, "v4.channel.k8s.io"));
  }

  get stdout(): string {
    return this.#channels.text(CHANNEL.stdout);
  }

  get stderr(): string {
    return this.#channels.text(CHANNEL.stderr);
  }

  write(text: string): void {
    this.#channels.send(CHANNEL.stdin, new TextEncoder().encode(text));
  }

  resize(columns: number, rows: number): void {
    const size = JSON.stringify({ Width: columns, Height: rows });
    this.#channels.send(CHANNEL.resize, new TextEncoder().encode(size));
  }

  /** Waits until its output matches. */
  async shows(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.stdout)).catch((cause) => {
      throw new Error(`Cannot see ${pattern} in ${JSON.stringify(this.stdout)}`, { cause });
    });
  }

  /** Waits for its end. @returns The exit code that the server reports. */
  async exitCode(): Promise<number> {
    await this.#channels.ended();
    const status = JSON.parse(this.#channels.text(CHANNEL.status));
    if (status.status === "Success") return 0;
    const cause = status.details?.causes?.find(({ reason }: { reason: string }) => reason === "ExitCode");
    assert.ok(cause !== undefined, JSON.stringify(status));
    return Number(cause.message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channels[Symbol.asyncDispose]();
  }
}

/** One forwarded connection. */
export class ForwardStream implements AsyncDisposable {
  static readonly #DATA = 0;
  static readonly #ERROR = 1;
  /** Each channel begins with the port, little-endian. */
  static readonly #HEAD = 2;
  readonly #channels: Channels;

  constructor(channels: Channels) {
    this.#channels = channels;
  }

  /** @param url As `PortForward` answered it. */
  static async open(url: string, port: number): Promise<ForwardStream> {
    return new ForwardStream(await Channels.open(`${url}?port=${port}`, "v4.channel.k8s.io"));
  }

  write(text: string): void {
    this.#channels.send(ForwardStream.#DATA, new TextEncoder().encode(text));
  }

  get text(): string {
    return this.#channels.text(ForwardStream.#DATA).slice(ForwardStream.#HEAD);
  }

  /** Waits for its end. @returns What the server says went wrong; empty if nothing did. */
  async error(): Promise<string> {
    await this.#channels.ended();
    return this.#channels.text(ForwardStream.#ERROR).slice(ForwardStream.#HEAD);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channels[Symbol.asyncDispose]();
  }
}
