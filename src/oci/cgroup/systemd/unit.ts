/** The unit of a container: started, changed and stopped. Loaded only when there is something to say to systemd. @module */
import { detectCgroups } from "../../../linux/cgroup/cgroup.ts";
import type { Variant } from "../../../systemd/dbus_wire.ts";
import { type Property, property, SystemdManager } from "../../../systemd/manager.ts";
import type { Resources } from "../../spec/spec.ts";
import { deviceProperties } from "./device_properties.ts";
import { annotationProperties, type PropertyContext, resourceProperties } from "./properties.ts";
import type { Scope, StartScopeOptions } from "./scope.ts";

/** Where the user's systemd has its cgroup. */
export async function userManagerPath(): Promise<string> {
  using manager = await SystemdManager.connect({ ofUser: true });
  return String(await manager.property("ControlGroup"));
}

/** @throws {Error} systemd cannot be reached, or the unit did not start. */
export async function startUnit(
  scope: Scope,
  pid: number,
  { id, resources, annotations }: StartScopeOptions,
): Promise<void> {
  using manager = await SystemdManager.connect(scope);
  const context = await contextOf(manager);
  await manager.startTransientUnit(scope.unit, [
    property("Description", "s", `container ${id}`),
    ...sliceProperties(scope),
    property("PIDs", "au", [pid]),
    ...accounting(context),
    ["DefaultDependencies", { signature: "b", value: false }],
    ...resources ? allProperties(resources, context) : [],
    ...annotationProperties(annotations),
  ]);
}

/** Sets properties of the unit, until the next boot only: a container does not outlive a boot. */
export async function setUnitProperties(scope: Scope, resources: Resources): Promise<void> {
  using manager = await SystemdManager.connect(scope);
  await manager.setUnitProperties(scope.unit, allProperties(resources, await contextOf(manager)));
}

export async function stopUnit(scope: Scope): Promise<void> {
  using manager = await SystemdManager.connect(scope);
  await manager.stopUnit(scope.unit);
}

async function contextOf(manager: SystemdManager): Promise<PropertyContext> {
  const [, digits] = /(\d+)/.exec(String(await manager.property("Version"))) ?? [];
  return { version: detectCgroups().mode === "v2" ? 2 : 1, systemdVersion: Number(digits ?? 0) };
}

const YES: Variant = { signature: "b", value: true };

function sliceProperties({ unit, slice }: Scope): Property[] {
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
