/**
 * Which unit of systemd a container is, and where that lies among the cgroups. Pure.
 *
 * @see https://systemd.io/CONTROL_GROUP_INTERFACE
 * @module
 */
import { KataError } from "../../../base/error.ts";
import type { Resources } from "../../spec/spec.ts";

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

/** The parts of `slice:prefix:name`, each of which may be empty; undefined for what has another form. */
export function splitScope(cgroupsPath: string): { slice: string; prefix: string; name: string } | undefined {
  const [slice, prefix, name, ...more] = cgroupsPath.split(":");
  if (slice === undefined || prefix === undefined || name === undefined || more.length > 0) return undefined;
  return { slice, prefix, name };
}

/**
 * @param cgroupsPath `slice:prefix:name`; each part may be empty, and so may the whole.
 * @throws {KataError} INVALID_ARGUMENT: it has another form.
 */
export function planScope(cgroupsPath: string | undefined, { id, ofUser, managerPath = "" }: ScopeOptions): Scope {
  const { slice: givenSlice = "", prefix = "", name = "" } = splitScope(cgroupsPath || `:runk:${id}`) ?? {};
  if (name === "" || name.includes("/")) {
    const expected = 'systemd expects the form "slice:prefix:name"';
    throw new KataError("INVALID_ARGUMENT", `Cannot use cgroupsPath "${cgroupsPath}": ${expected}`);
  }
  const slice = givenSlice || (ofUser ? "user.slice" : "system.slice");
  const unit = name.endsWith(".slice") ? name : `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
  const paths = [managerPath, expandSlice(slice), name.endsWith(".slice") ? expandSlice(name) : unit];
  return { unit, slice, cgroupPath: paths.join("/").split("/").filter((name) => name !== "").join("/"), ofUser };
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
