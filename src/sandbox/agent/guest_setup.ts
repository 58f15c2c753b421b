/** Sets up the guest before the first container: network, name servers, storages, modules; and ends it. @module */
import type { GuestNetwork } from "../../agent_api/network.ts";
import { errorCode } from "../../base/error.ts";
import type { Logger } from "../../base/log.ts";
import type { Config } from "../../config/schema.ts";
import type { Hypervisor } from "../../hypervisor/hypervisor.ts";
import { pathOf } from "../../linux/io/fd.ts";
import { statfs } from "../../linux/fs/statfs.ts";
import type { Spec } from "../../oci/spec/spec.ts";
import { isAtShm, isEngineShm, SHM } from "../../resources/volumes/shm.ts";
import { Source } from "../../resources/volumes/source.ts";
import type { AgentConnection } from "./client.ts";
import { type AgentHost, explainSilence } from "./explain.ts";
import type { GuestMachine } from "./machine.ts";
import type { ResolvConf } from "./resolv_conf.ts";
import { guestStorages } from "../guest_storages.ts";

export interface GuestSetup {
  id: string;
  /** Of the container that the sandbox is made for. */
  spec: Spec;
  /** Of that container. */
  resolvConf: Pick<ResolvConf, "nameServers">;
  config: Config;
  network: GuestNetwork;
  /** A template's clone (`snapshot.isRestored`) has a clock that stands, and random numbers that are not its own. */
  vm: AgentHost & Pick<Hypervisor, "snapshot">;
}

/** For the agent to end containers and write back what is cached; the VM ends in any case. */
const DESTROY_MS = 3_000;

/** Size of the shared memory where nobody says otherwise, as Docker and Kubernetes have it. */
const SHM_BYTES = 64 * 1024 * 1024;

/** As many as the kernel's generator holds. */
const SEED_BYTES = 64;

type SetUpAgent = Pick<AgentConnection, "machine" | "network">;

/** Makes the guest ready for containers. @throws {Error} Why it is not; of one that is silent, what its VM shows. */
export async function setUpGuest(agent: SetUpAgent, setup: GuestSetup): Promise<void> {
  const begin = performance.now();
  try {
    await setUp(agent, setup);
  } catch (cause) {
    const what = `Cannot set up sandbox "${setup.id}" in the guest`;
    if (errorCode(cause) !== "DEADLINE_EXCEEDED") throw new Error(what, { cause });
    throw await explainSilence(setup.vm, { what, waitedMs: performance.now() - begin, cause });
  }
}

async function setUp(agent: SetUpAgent, setup: GuestSetup): Promise<void> {
  const { network, vm: { snapshot } } = setup;
  // None of these waits for another; the network and the shared directory wait for their devices.
  await Promise.all([
    setClock(agent.machine),
    ...(snapshot?.isRestored ? [reseed(agent.machine)] : []),
    setUpGuestNetwork(agent, network),
    createSandbox(agent.machine, setup),
  ]);
}

/** A clone's clock stands where its template was saved; after a boot it has whole seconds only, of the machine's own clock. */
async function setClock(machine: Pick<GuestMachine, "setClock">): Promise<void> {
  await machine.setClock(Date.now());
}

/** A clone's random numbers would be those of all clones. */
async function reseed(machine: Pick<GuestMachine, "seed">): Promise<void> {
  await machine.seed(crypto.getRandomValues(new Uint8Array(SEED_BYTES)));
}

async function createSandbox(
  machine: Pick<GuestMachine, "create">,
  { id, spec, resolvConf, config }: GuestSetup,
): Promise<void> {
  await machine.create({
    id,
    hostname: spec.hostname ?? "",
    nameServers: resolvConf.nameServers(),
    storages: guestStorages(shmBytes(spec)),
    kernelModules: config.agent.kernel_modules.map(parseKernelModule),
  });
}

/** As large as the tmpfs that the engine has mounted for it on the host (B16); the host's own and volumes are not meant. */
function shmBytes({ mounts = [] }: Spec): number {
  const mount = mounts.find((one) => isAtShm(one) && one.type === "bind");
  if (mount === undefined) return SHM_BYTES;
  using source = new Source(mount, { bundle: "/" });
  if (!isEngineShm(source) || source.path === SHM) return SHM_BYTES;
  const { blocks, blockSize } = statfs(pathOf(source.fd));
  return blocks * blockSize;
}

/** Interfaces first: routes and neighbours name them. */
export async function setUpGuestNetwork(
  agent: Pick<AgentConnection, "network">,
  network: GuestNetwork,
): Promise<void> {
  for (const each of network.interfaces) {
    try {
      await agent.network.setInterface(each);
    } catch (cause) {
      throw new Error(`Cannot set up interface "${each.name}" in the guest`, { cause });
    }
  }
  const { routes, rules } = network;
  if (routes.length > 0 || rules.length > 0) await agent.network.setRoutes(routes, rules);
  if (network.neighbors.length > 0) await agent.network.addNeighbors(network.neighbors);
}

/** Ends all that runs in the guest. A failure is logged only: the VM ends in any case. */
export async function destroyGuest(
  agent: Pick<AgentConnection, "machine">,
  { id, log }: { id: string; log: Logger },
): Promise<void> {
  try {
    await agent.machine.destroy({ timeoutMs: DESTROY_MS });
  } catch (error) {
    // A guest that powers off at once has done what was asked; its answer may be lost with it.
    if (errorCode(error) === "UNAVAILABLE") return;
    log.warning("Cannot end the sandbox in the guest", { sandbox: id, error });
  }
}

/** `name parameter...`, as the configuration writes it. */
function parseKernelModule(line: string): { name: string; parameters: string[] } {
  const [name = "", ...parameters] = line.split(/\s+/);
  return { name, parameters };
}
