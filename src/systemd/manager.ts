/**
 * Requests to systemd, the machine's or a user's. A connection serves one command, as each command of runk asks once.
 *
 * @see https://www.freedesktop.org/software/systemd/man/org.freedesktop.systemd1.html
 * @module
 */
import { isErrno } from "../linux/ffi/errno.ts";
import { BUS, DbusClient, DbusError, socketPath, type Target } from "./dbus_client.ts";
import type { Value, Variant } from "./dbus_wire.ts";

const MANAGER: Target = {
  destination: "org.freedesktop.systemd1",
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
};
const PROPERTIES = "org.freedesktop.DBus.Properties";

const SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket";
/** The socket of systemd itself, for root on a machine that has no bus (yet). */
const PRIVATE_SOCKET = "/run/systemd/private";
const TIMEOUT_MS = 30_000;

/** Name and value of a unit's property. */
export type Property = readonly [name: string, value: Variant];

export function property(name: string, signature: string, value: Value): Property {
  return [name, { signature, value }];
}

export interface ConnectOptions {
  /** The user's own systemd, not that of the machine. */
  ofUser: boolean;
}

/** A connection to systemd. */
export class SystemdManager implements Disposable {
  readonly #client: DbusClient;

  constructor(client: DbusClient) {
    this.#client = client;
  }

  /** @throws {Error} systemd cannot be reached. */
  static async connect(options: ConnectOptions): Promise<SystemdManager> {
    return new SystemdManager(await connect(options));
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /** Reads a property of systemd itself, such as `Version`. */
  async property(name: string): Promise<Value> {
    const body = [MANAGER.interface, name];
    const call = { member: "Get", signature: "ss", body };
    const [variant] = await this.#client.call({ ...MANAGER, interface: PROPERTIES }, call);
    return (variant as Variant).value;
  }

  /** Makes a unit that is gone when it ends, and waits until it has started. @throws {Error} It did not start. */
  async startTransientUnit(unit: string, properties: readonly Property[]): Promise<void> {
    const start = () =>
      this.#runJob({
        member: "StartTransientUnit",
        signature: "ssa(sv)a(sa(sv))",
        body: [unit, "replace", properties.map(([name, value]) => [name, value]), []],
      });
    try {
      await start().catch(async (error: unknown) => {
        if (!isError(error, "UnitExists")) throw error;
        // A failed unit of that name may still be around.
        await this.#resetFailed(unit);
        await start();
      });
    } catch (cause) {
      throw new Error(`Cannot start unit "${unit}" of systemd`, { cause });
    }
  }

  /** Sets properties of a unit until the next boot. */
  async setUnitProperties(unit: string, properties: readonly Property[]): Promise<void> {
    if (properties.length === 0) return;
    try {
      const body = [unit, true, properties.map(([name, value]) => [name, value])];
      await this.#client.call(MANAGER, { member: "SetUnitProperties", signature: "sba(sv)", body });
    } catch (cause) {
      throw new Error(`Cannot change unit "${unit}" of systemd`, { cause });
    }
  }

  /** Stops a unit, and waits for that; a unit that does not exist is fine. */
  async stopUnit(unit: string): Promise<void> {
    try {
      await this.#runJob({ member: "StopUnit", signature: "ss", body: [unit, "replace"] });
    } catch (error) {
      if (!isError(error, "NoSuchUnit")) throw new Error(`Cannot stop unit "${unit}" of systemd`, { cause: error });
    }
    await this.#resetFailed(unit);
  }

  /** Lets systemd forget a unit that failed, which stays in memory otherwise. */
  async #resetFailed(unit: string): Promise<void> {
    const call = { member: "ResetFailedUnit", signature: "s", body: [unit] };
    await this.#client.call(MANAGER, call).catch((error: unknown) => {
      if (!(error instanceof DbusError)) throw error;
    });
  }

  /** Makes a call that starts a job, and waits for the job's end. */
  async #runJob(call: { member: string; signature: string; body: Value[] }): Promise<void> {
    const client = this.#client;
    if (!client.isPeer) {
      const rule = `type='signal',interface='${MANAGER.interface}',member='JobRemoved'`;
      await client.call(BUS, { member: "AddMatch", signature: "s", body: [rule] });
    }
    const [job] = await client.call(MANAGER, call);
    const { body = [] } = await client.signal(({ member, body }) => member === "JobRemoved" && body?.[1] === job);
    if (body[3] !== "done") throw new Error(`Cannot finish the job of ${call.member}: it is ${body[3]}`);
  }
}

async function connect({ ofUser }: ConnectOptions): Promise<DbusClient> {
  const options = { signal: AbortSignal.timeout(TIMEOUT_MS) };
  const path = socketPath(ofUser ? userBus() : Deno.env.get("DBUS_SYSTEM_BUS_ADDRESS") || SYSTEM_BUS);
  try {
    return await DbusClient.connect(path, options);
  } catch (cause) {
    if (ofUser || !isErrno(cause, "ENOENT", "ECONNREFUSED")) throw unreachable(path, cause);
    return await DbusClient.connect(PRIVATE_SOCKET, { ...options, isPeer: true }).catch(() => {
      throw unreachable(path, cause);
    });
  }
}

function unreachable(path: string, cause: unknown): Error {
  return new Error(`Cannot reach systemd over "${path}"`, { cause });
}

function userBus(): string {
  const address = Deno.env.get("DBUS_SESSION_BUS_ADDRESS");
  const directory = Deno.env.get("XDG_RUNTIME_DIR");
  if (address) return address;
  if (directory) return `unix:path=${directory}/bus`;
  throw new Error("Cannot find the user's systemd: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set");
}

function isError(error: unknown, name: string): boolean {
  return error instanceof DbusError && error.errorName === `org.freedesktop.systemd1.${name}`;
}
