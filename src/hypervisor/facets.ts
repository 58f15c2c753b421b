/** Asking a VM for what only some monitors can do. @module */
import { KataError } from "../base/error.ts";
import type { Hypervisor } from "./hypervisor.ts";

/** Facets that a monitor may lack, and how a refusal says so. */
const LACKS = {
  hotplug: "takes no device while its VM runs",
  resize: "cannot change the size of a VM that runs",
  snapshot: "cannot save a VM",
} as const;

export type Facet = keyof typeof LACKS;

/**
 * The facet of a VM.
 *
 * @param wish What it is wanted for, after "Cannot": `plug net "eth0"`.
 * @throws {KataError} UNIMPLEMENTED: the monitor has none.
 */
export function facetOf<F extends Facet>(
  vm: Pick<Hypervisor, "name" | F>,
  facet: F,
  wish: string,
): NonNullable<Hypervisor[F]> {
  const found: Hypervisor[F] = vm[facet];
  if (found !== undefined) return found;
  throw new KataError("UNIMPLEMENTED", `Cannot ${wish}: monitor "${vm.name}" ${LACKS[facet]}`);
}
