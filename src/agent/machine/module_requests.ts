/**
 * Rights to make this machine's kernel load modules: nobody's, until there is a container that has the capabilities for it,
 * and then those of processes that have them themselves. The kernel itself loads them (`/sbin/modprobe`, which is in the image that
 * nobody can write) from what the image has (`scripts/guest/modules.list`).
 *
 * @module
 */
import type { Logger } from "../../base/log.ts";
import { insertModule, moduleFiles } from "../../linux/device/kernel_module.ts";
import { isErrno } from "../../linux/ffi/errno.ts";
import { mount } from "../../linux/mount/mount.ts";
import { guardModules, MODULE_REQUEST_HOOK, type ModuleGuardPlaces } from "../../linux/security/module_guard.ts";
import type { KernelNeeds } from "./kernel_needs.ts";
import { loadModule } from "./modules.ts";

/** Program that the kernel starts for a module; while it has no name, the kernel refuses at once. */
const PROGRAM_NAME = "/proc/sys/kernel/modprobe";
const PROGRAM = "/sbin/modprobe";

export interface ModuleRequestsOptions {
  /** `init`: the machine is ours alone; `service`: it has an init of its own; `none`: leave it alone, it is no guest. */
  machine: "init" | "service" | "none";
  log: Logger;
  kernel?: ModuleKernel;
}

/** The kernel's part. */
export interface ModuleKernel {
  /** Names the program that it starts for a module; a line without a name: none. */
  nameProgram(program: string): void;
  /** Refuses whoever may not ask, until it is disposed of. */
  guard(): Disposable;
}

const KERNEL: ModuleKernel = {
  nameProgram: (program) => Deno.writeTextFileSync(PROGRAM_NAME, program),
  guard: () => {
    checkThatHooksAreAsked();
    return guardModules(knownPlaces());
  },
};

/** Nobody's; the file takes no empty write. */
const NO_PROGRAM = "\n";

/** The one way of containers to modules. Disposing it forbids requests, and opens them to nobody. */
export class ModuleRequests implements Disposable {
  readonly #options: ModuleRequestsOptions;
  readonly #kernel: ModuleKernel;
  readonly #loaded = new Set<string>();
  /** "refused": this kernel cannot tell who asks. */
  #state: "closed" | "open" | "refused" = "closed";
  readonly #guards = new DisposableStack();

  constructor(options: ModuleRequestsOptions) {
    this.#options = options;
    this.#kernel = options.kernel ?? KERNEL;
    if (options.machine === "init") this.#kernel.nameProgram(NO_PROGRAM);
    // Another init may need modules as long as it runs, so the kernel goes on loading them for who may.
    if (options.machine === "service") this.#open();
  }

  /** Loads what a container may want without being able to ask for it, and lets it ask for the rest. */
  async serve({ mayRequest, listed, named }: KernelNeeds): Promise<void> {
    if (this.#options.machine === "none") return;
    for (const name of listed) this.#load(name);
    for (const name of named) await loadModule(name).catch(() => {}); // built in, or whoever uses it will say
    if (mayRequest) this.#open();
  }

  [Symbol.dispose](): void {
    this.#guards.dispose();
  }

  #open(): void {
    if (this.#state !== "closed") return;
    try {
      this.#guards.use(this.#kernel.guard());
      if (this.#options.machine === "init") this.#nameProgram();
      this.#state = "open";
    } catch (error) {
      this.#state = "refused";
      const what = this.#options.machine === "init" ? "Nobody can" : "All containers can";
      this.#options.log.warning(`${what} make the kernel load modules (see the key agent.kata.kernel_modules)`, {
        error,
      });
    }
  }

  /** The name goes before the guard does: without one, anybody could ask. */
  #nameProgram(): void {
    this.#guards.defer(() => this.#kernel.nameProgram(NO_PROGRAM));
    this.#kernel.nameProgram(PROGRAM);
  }

  #load(name: string): void {
    if (this.#loaded.has(name)) return;
    this.#loaded.add(name);
    const directory = `/usr/lib/modules/${kernelRelease()}`;
    try {
      for (const file of moduleFiles(Deno.readTextFileSync(`${directory}/modules.dep`), name)) {
        insertModule(`${directory}/${file}`);
      }
    } catch (error) {
      this.#options.log.warning(`Cannot load kernel module "${name}"`, { error });
    }
  }
}

function kernelRelease(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/osrelease").trim();
}

/** Reads the places that the guest image holds for its own kernel. */
function knownPlaces(): ModuleGuardPlaces | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(`/usr/lib/modules/${kernelRelease()}/${MODULE_REQUEST_HOOK}`));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

const SECURITYFS = "/sys/kernel/security";

/** A program at a hook runs only if the kernel has BPF among its security modules. */
function checkThatHooksAreAsked(): void {
  using _ = mount("securityfs", SECURITYFS, { type: "securityfs" });
  const modules = Deno.readTextFileSync(`${SECURITYFS}/lsm`).trim();
  if (!modules.split(",").includes("bpf")) {
    throw new Error(`Cannot guard the kernel's modules: its security modules are ${modules}, not bpf`);
  }
}
