/**
 * Which unit of systemd a container is, and where that lies among the cgroups. Small, as every command of runk loads it;
 * what talks to systemd is loaded when there is something to say.
 *
 * @see https://systemd.io/CONTROL_GROUP_INTERFACE
 * @module
 */
import { KataError } from "../../base/error.ts";
import type { Resources } from "../spec.ts";

/** A unit, as the state file keeps it. */
export interface Scope {
  /** `runk-NAME.scope`, or a slice. */
  unit: string;
  slice: string;
  /** Below the root of each hierarchy, without a leading slash. */
  cgroupPath: string;
  /** The user's own systemd, not that of the machine. */
  ofUser: boolean;
}

export interface ScopeOptions {
  id: string;
  ofUser: boolean;
  /** The cgroup of the user's systemd; the machine's has the root. */
  managerPath?: string;
}

/**
 * @param cgroupsPath `slice:prefix:name`; each part may be empty, and so may the whole.
 * @throws {KataError} INVALID_ARGUMENT: it has another form.
 */
export function planScope(cgroupsPath: string | undefined, { id, ofUser, managerPath = "" }: ScopeOptions): Scope {
  const [givenSlice = "", prefix = "", name = "", ...more] = (cgroupsPath || `:runk:${id}`).split(":");
  if (name === "" || more.length > 0 || name.includes("/")) {
    const expected = 'systemd expects the form "slice:prefix:name"';
    throw new KataError("INVALID_ARGUMENT", `Cannot use cgroupsPath "${cgroupsPath}": ${expected}`);
  }
  const slice = givenSlice || (ofUser ? "user.slice" : "system.slice");
  const unit = name.endsWith(".slice") ? name : `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
  const parts = [managerPath, expandSlice(slice), name.endsWith(".slice") ? expandSlice(name) : unit];
  return { unit, slice, cgroupPath: parts.join("/").split("/").filter((part) => part !== "").join("/"), ofUser };
}

/** Slices nest by their names: `a-b.slice` lies in `a.slice`, and `-.slice` is the root. */
export function expandSlice(slice: string): string {
  const stem = /^(.+)\.slice$/.exec(slice)?.[1];
  if (stem === undefined || slice.includes("/")) {
    throw new KataError("INVALID_ARGUMENT", `Cannot use "${slice}" as a slice of systemd`);
  }
  if (stem === "-") return "";
  const words = stem.split("-");
  if (words.includes("")) throw new KataError("INVALID_ARGUMENT", `Cannot use "${slice}" as a slice of systemd`);
  return words.map((_, index) => `${words.slice(0, index + 1).join("-")}.slice`).join("/");
}

export interface StartScopeOptions {
  id: string;
  resources: Resources | undefined;
  /** `org.systemd.property.NAME` among them set a property of the unit. */
  annotations: Readonly<Record<string, string>>;
}

/** Asks systemd to put a process into the unit, which begins with that. */
export async function startScope(scope: Scope, pid: number, options: StartScopeOptions): Promise<void> {
  const { startUnit } = await import("./manager.ts");
  await startUnit(scope, pid, options);
}

/** Tells systemd of new limits, or it would write the old ones over them some day. */
export async function updateScope(scope: Scope, resources: Resources): Promise<void> {
  const { setUnitProperties } = await import("./manager.ts");
  await setUnitProperties(scope, resources);
}

/** Ends the unit; one that has gone with its last process is fine. */
export async function stopScope(scope: Scope): Promise<void> {
  const { stopUnit } = await import("./manager.ts");
  await stopUnit(scope);
}

/** The unit of a container that systemd is to manage. */
export async function openScope(cgroupsPath: string | undefined, id: string): Promise<Scope> {
  if (Deno.uid() === 0) return planScope(cgroupsPath, { id, ofUser: false });
  const { userManagerPath } = await import("./manager.ts");
  return planScope(cgroupsPath, { id, ofUser: true, managerPath: await userManagerPath() });
}
