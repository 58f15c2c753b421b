/**
 * Kata Containers as one program: the name it is called by chooses the mode, so that each mode loads only its own code.
 *
 * @module
 */
import { errorChain } from "./src/base/error.ts";
import { plainText } from "./src/base/text.ts";
import { describeBuild } from "./src/base/version.ts";

/** A program: gets the arguments after its name, returns the exit status. */
export interface Program {
  main(args: readonly string[]): Promise<number>;
}

/** Programs that this one can be: `scripts/build` makes a link for each name. */
export const MODES: Record<string, () => Promise<Program>> = {
  "containerd-shim-kata-v2": () => import("./src/shim/main.ts"),
  "kata-agent": () => import("./src/agent/main.ts"),
  "kata-ctl": () => import("./src/cli/operator/kata_ctl.ts"),
  "kata-runtime": () => import("./src/cli/operator/kata_runtime.ts"),
  "runk": () => import("./src/cli/runk/main.ts"),
};

/** Splits the command line into mode and arguments: by the called name, or as `kata MODE ...`. */
export function chooseMode(argv0: string, args: readonly string[]): { mode: string; args: readonly string[] } {
  const name = argv0.slice(argv0.lastIndexOf("/") + 1);
  if (name in MODES || isShimName(name)) return { mode: name, args };
  const [first = "", ...rest] = args;
  // Of the programs, an OCI runtime is the one whose callers resolve its link first, or copy it to another name.
  if (isOfRuntime(first)) return { mode: "runk", args };
  return { mode: first, args: rest };
}

const RUNTIME_COMMANDS = "create delete events exec features kill list pause ps resume run spec start state update";

/** Whether a command line that begins so is an OCI runtime's. `version` and `--version` are ours. */
function isOfRuntime(first: string): boolean {
  return (first.startsWith("-") && first !== "--version") || RUNTIME_COMMANDS.split(" ").includes(first);
}

/** containerd derives one shim name per configured runtime, such as `containerd-shim-kata-qemu-v2`. */
function isShimName(name: string): boolean {
  return /^containerd-shim-kata(-[a-z0-9-]+)?-v2$/.test(name);
}

async function run(argv0: string, allArgs: readonly string[]): Promise<number> {
  const { mode, args } = chooseMode(argv0, allArgs);
  if (mode === "version" || mode === "--version") return print(describeBuild("kata"));
  const load = isShimName(mode)
    ? MODES["containerd-shim-kata-v2"]
    : Object.hasOwn(MODES, mode)
    ? MODES[mode]
    : undefined;
  if (load === undefined) {
    const asked = mode === "" ? "no mode given" : `unknown mode "${mode}"`;
    return fail(`kata: ${asked}; use kata MODE, where MODE is ${Object.keys(MODES).join(", ")}`);
  }
  try {
    return await (await load()).main(args);
  } catch (error) {
    return fail(`${mode}: ${errorChain(error)}`);
  }
}

function print(line: string): number {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  return 0;
}

function fail(message: string): number {
  Deno.stderr.writeSync(new TextEncoder().encode(`${plainText(message)}\n`));
  return 1;
}

if (import.meta.main) {
  // The portable file's head calls Deno by Deno's own path, and passes the name it was called by in the environment; and
  // the guest must not touch `process`, whose polyfill costs it a second.
  const argv0 = Deno.env.get("KATA_ARGV0") ?? process.argv0;
  const status = await run(argv0, Deno.args);
  Deno.exit(status);
}
