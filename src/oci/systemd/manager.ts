/**
 * What is asked of systemd. Each function is a connection of its own, as each command of runk asks once.
 *
 * @see https://www.freedesktop.org/software/systemd/man/org.freedesktop.systemd1.html
 * @module
 */
import { detectCgroups } from "../../linux/cgroup.ts";
import { isErrno } from "../../linux/errno.ts";
import { deviceProperties } from "./device_properties.ts";
import { BUS, DbusClient, DbusError, socketPath, type Target } from "./dbus_client.ts";
import type { Value, Variant } from "./dbus_wire.ts";
import {
  annotationProperties,
  type Property,
  property,
  type PropertyContext,
  resourceProperties,
} from "./properties.ts";
import type { Scope, StartScopeOptions } from "./scope.ts";
import type { Resources } from "../spec.ts";

const MANAGER: Target = {
  destination: "org.freedesktop.systemd1",
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
};
const PROPERTIES = "org.freedesktop.DBus.Properties";

const SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket";
/** systemd itself, for root on a machine that has no bus (yet). */
const PRIVATE_SOCKET = "/run/systemd/private";
const TIMEOUT_MS = 30_000;

async function connect({ ofUser }: Pick<Scope, "ofUser">): Promise<DbusClient> {
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

/** Where the user's systemd has its cgroup. */
export async function userManagerPath(): Promise<string> {
  using client = await connect({ ofUser: true });
  return String(await managerProperty(client, "ControlGroup"));
}

async function managerProperty(client: DbusClient, name: string): Promise<Value> {
  const body = [MANAGER.interface, name];
  const [variant] = await client.call({ ...MANAGER, interface: PROPERTIES }, { member: "Get", signature: "ss", body });
  return (variant as Variant).value;
}

async function contextOf(client: DbusClient): Promise<PropertyContext> {
  const [, digits] = /(\d+)/.exec(String(await managerProperty(client, "Version"))) ?? [];
  return { version: detectCgroups().mode === "v2" ? 2 : 1, systemdVersion: Number(digits ?? 0) };
}

/** @throws {Error} systemd cannot be reached, or the unit did not start. */
export async function startUnit(
  scope: Scope,
  pid: number,
  { id, resources, annotations }: StartScopeOptions,
): Promise<void> {
  using client = await connect(scope);
  const context = await contextOf(client);
  const properties: Property[] = [
    property("Description", "s", `container ${id}`),
    ...placement(scope),
    property("PIDs", "au", [pid]),
    ...accounting(context),
    ["DefaultDependencies", { signature: "b", value: false }],
    ...resources ? allProperties(resources, context) : [],
    ...annotationProperties(annotations),
  ];
  const start = () =>
    runJob(client, {
      member: "StartTransientUnit",
      signature: "ssa(sv)a(sa(sv))",
      body: [scope.unit, "replace", properties.map(([name, value]) => [name, value]), []],
    });
  try {
    await start().catch(async (error: unknown) => {
      if (!isError(error, "UnitExists")) throw error;
      // A failed unit of an earlier container of that name may still be around.
      await resetFailed(client, scope.unit);
      await start();
    });
  } catch (cause) {
    throw new Error(`Cannot start unit "${scope.unit}" of systemd`, { cause });
  }
}

const YES: Variant = { signature: "b", value: true };

function placement({ unit, slice }: Scope): Property[] {
  if (unit.endsWith(".slice")) return [property("Wants", "as", [slice])];
  return [property("Slice", "s", slice), ["Delegate", YES]];
}

function accounting({ version }: PropertyContext): Property[] {
  const names = [
    "MemoryAccounting",
    "CPUAccounting",
    version === 2 ? "IOAccounting" : "BlockIOAccounting",
    "TasksAccounting",
  ];
  return names.map((name) => [name, YES]);
}

function allProperties(resources: Resources, context: PropertyContext): Property[] {
  return [...deviceProperties(resources.devices), ...resourceProperties(resources, context)];
}

/** Until the next boot only: a container does not outlive it. */
export async function setUnitProperties(scope: Scope, resources: Resources): Promise<void> {
  using client = await connect(scope);
  const properties = allProperties(resources, await contextOf(client)).map(([name, value]) => [name, value]);
  if (properties.length === 0) return;
  try {
    const body = [scope.unit, true, properties];
    await client.call(MANAGER, { member: "SetUnitProperties", signature: "sba(sv)", body });
  } catch (cause) {
    throw new Error(`Cannot change unit "${scope.unit}" of systemd`, { cause });
  }
}

export async function stopUnit(scope: Scope): Promise<void> {
  using client = await connect(scope);
  try {
    await runJob(client, { member: "StopUnit", signature: "ss", body: [scope.unit, "replace"] });
  } catch (error) {
    if (!isError(error, "NoSuchUnit")) throw new Error(`Cannot stop unit "${scope.unit}" of systemd`, { cause: error });
  }
  await resetFailed(client, scope.unit);
}

/** Lets systemd forget a unit that failed, which stays in memory otherwise. */
async function resetFailed(client: DbusClient, unit: string): Promise<void> {
  await client.call(MANAGER, { member: "ResetFailedUnit", signature: "s", body: [unit] }).catch((error: unknown) => {
    if (!(error instanceof DbusError)) throw error;
  });
}

/** Makes a call that starts a job, and waits for the job's end. */
async function runJob(client: DbusClient, call: { member: string; signature: string; body: Value[] }): Promise<void> {
  if (!client.isPeer) {
    const rule = `type='signal',interface='${MANAGER.interface}',member='JobRemoved'`;
    await client.call(BUS, { member: "AddMatch", signature: "s", body: [rule] });
  }
  const [job] = await client.call(MANAGER, call);
  const { body = [] } = await client.signal(({ member, body }) => member === "JobRemoved" && body?.[1] === job);
  if (body[3] !== "done") throw new Error(`Cannot finish the job of ${call.member}: it is ${body[3]}`);
}

function isError(error: unknown, name: string): boolean {
  return error instanceof DbusError && error.errorName === `org.freedesktop.systemd1.${name}`;
}
