/** Hooks that belong to the host: engines without CNI put interfaces into the VMM's network namespace by them. @module */
import { runHooks } from "../oci/hooks.ts";
import type { ContainerOptions } from "./container.ts";

/** @param pid Of the VMM. @returns Whether there were any. @throws {Error} The first that fails, with its words. */
export async function runHostHooks({ id, bundle, spec }: ContainerOptions, pid: number): Promise<boolean> {
  const { ociVersion, annotations = {}, hooks } = spec;
  if (hooks?.prestart === undefined && hooks?.createRuntime === undefined) return false;
  const state = { ociVersion, id, status: "created", pid, bundle, annotations } as const;
  for (const kind of ["prestart", "createRuntime"] as const) await runHooks(kind, hooks, { state });
  return true;
}
