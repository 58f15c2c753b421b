/** TCP connections within the guest that the host asked for: what Kubernetes forwards to a port of the pod. @module */
import { errorChain, KataError } from "../../base/error.ts";

/** The host keeps to fewer; this guards the guest's memory. */
const MAX_CONNECTIONS = 256;
/** As much as a call moves; the host's asks for no more. */
const MAX_READ_BYTES = 256 << 10;

/** Connections by number. Disposing it closes them all. */
export class Connections implements Disposable {
  readonly #open = new Map<number, Deno.TcpConn>();
  #last = 0;

  /** @throws {KataError} UNAVAILABLE: nobody listens there; RESOURCE_EXHAUSTED. */
  async open(port: number): Promise<number> {
    if (this.#open.size >= MAX_CONNECTIONS) {
      throw new KataError("RESOURCE_EXHAUSTED", `Cannot connect to port ${port}: ${MAX_CONNECTIONS} are connected`);
    }
    const connection = await connectWithin(port);
    this.#open.set(++this.#last, connection);
    return this.#last;
  }

  /** @returns What is there, as soon as something is; nothing at the end. */
  async read(id: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const buffer = new Uint8Array(Math.min(length, MAX_READ_BYTES));
    return buffer.subarray(0, await this.#find(id).read(buffer) ?? 0);
  }

  async write(id: number, data: Uint8Array): Promise<void> {
    const connection = this.#find(id);
    for (let rest = data; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
  }

  async finish(id: number): Promise<void> {
    await this.#find(id).closeWrite();
  }

  close(id: number): void {
    this.#open.get(id)?.close();
    this.#open.delete(id);
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#open.keys()]) this.close(id);
  }

  #find(id: number): Deno.TcpConn {
    const connection = this.#open.get(id);
    if (connection !== undefined) return connection;
    throw new KataError("NOT_FOUND", `Cannot find connection ${id}`);
  }
}

/** A server may listen on the loopback or on the pod's address only, and in one family. */
async function connectWithin(port: number): Promise<Deno.TcpConn> {
  const errors: unknown[] = [];
  for (const hostname of ["127.0.0.1", "::1", ...ownAddresses()]) {
    try {
      return await Deno.connect({ hostname, port });
    } catch (error) {
      errors.push(error);
    }
  }
  const why = [...new Set(errors.map(errorChain))].join("; ");
  throw new KataError("UNAVAILABLE", `Cannot connect to port ${port} in the guest: ${why}`);
}

/** Link-local ones would need a link with them. */
function ownAddresses(): string[] {
  const all = Deno.networkInterfaces().map(({ address }) => address);
  return all.filter((address) => !/^(127\.|::1$|fe80:)/i.test(address));
}
