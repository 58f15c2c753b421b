/** Has systemd manage a container's scope. The D-Bus client is loaded by the first request only. @module */
import type { Resources } from "../../spec/spec.ts";
import { planScope, type Scope, type StartScopeOptions } from "./scope.ts";

/** Asks systemd to put a process into the unit, which begins with that. */
export async function startScope(scope: Scope, pid: number, options: StartScopeOptions): Promise<void> {
  const { startUnit } = await import("./unit.ts");
  await startUnit(scope, pid, options);
}

/** Tells systemd of new limits, or it would write the old ones over them some day. */
export async function updateScope(scope: Scope, resources: Resources): Promise<void> {
  const { setUnitProperties } = await import("./unit.ts");
  await setUnitProperties(scope, resources);
}

/** Ends the unit; one that has gone with its last process is fine. */
export async function stopScope(scope: Scope): Promise<void> {
  const { stopUnit } = await import("./unit.ts");
  await stopUnit(scope);
}

/** The unit of a container that systemd is to manage. */
export async function openScope(cgroupsPath: string | undefined, id: string): Promise<Scope> {
  if (Deno.uid() === 0) return planScope(cgroupsPath, { id, ofUser: false });
  const { userManagerPath } = await import("./unit.ts");
  return planScope(cgroupsPath, { id, ofUser: true, managerPath: await userManagerPath() });
}
