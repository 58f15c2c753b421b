/** Versions of the kernel that a container takes. @module */
import { KataError } from "../../base/error.ts";
import type { Spec } from "./spec.ts";

/**
 * @param release As uname(2) tells it.
 * @throws {KataError} FAILED_PRECONDITION: it is too old for what is asked.
 */
export function checkKernel({ linux }: Spec, release = Deno.osRelease()): void {
  // mount_setattr(2) makes a mount read-only before anybody sees it; close_range(2) marks descriptors since 5.11.
  if (isBefore(release, 5, 12)) throw tooOld("a container", { release, needed: "5.12" });
  // Before, a program did not enter the time namespace that its process had made, and nothing said so.
  const hasClocks = linux?.namespaces?.some(({ type }) => type === "time") ?? false;
  if (hasClocks && isBefore(release, 6, 2)) throw tooOld("a time namespace", { release, needed: "6.2" });
}

function isBefore(release: string, wantedMajor: number, wantedMinor: number): boolean {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(major) < wantedMajor || Number(major) === wantedMajor && Number(minor) < wantedMinor;
}

function tooOld(what: string, { release, needed }: { release: string; needed: string }): KataError {
  return new KataError("FAILED_PRECONDITION", `Cannot make ${what}: Linux ${release} is older than ${needed}`);
}
