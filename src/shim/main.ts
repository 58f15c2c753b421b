/**
 * The containerd shim. containerd calls the binary with `start` and `delete`; `start` leaves a process of the same
 * program that serves the task API. This folder translates between containerd and the sandbox; rules live there.
 *
 * @module
 */
import { VERSION } from "../base/version.ts";
import { parseShimArgs, type ShimArgs } from "./args.ts";

const USAGE = "containerd-shim-kata-v2 -namespace NS -id ID [-address PATH] [-bundle PATH] [-debug] [start|delete]\n" +
  "containerd-shim-kata-v2 -info | -version\n";

/** Runs one action; each loads only what it needs, because two of them run before a container does. */
export async function main(commandLine: readonly string[]): Promise<number> {
  const args = parseShimArgs(commandLine);
  return await ACTIONS[args.action](args);
}

const ACTIONS = {
  async serve(args) {
    return await (await import("./serve.ts")).serve(args);
  },
  async start(args) {
    const { start } = await import("./start/start.ts");
    return print(await start(args, { bundle: Deno.cwd(), input: await readStdin() }));
  },
  async delete(args) {
    const { deleteTask } = await import("./delete.ts");
    const { openShimLog } = await import("./log/logs.ts");
    const bundle = args.bundle || Deno.cwd();
    using logs = openShimLog({ ...args, bundle });
    return print(await deleteTask(args, { bundle, log: logs.log }));
  },
  async info() {
    return print((await import("./info.ts")).runtimeInfo());
  },
  async version() {
    return print(versionText());
  },
  async help() {
    return await print(USAGE);
  },
} satisfies Record<ShimArgs["action"], (args: ShimArgs) => Promise<number>>;

/** containerd reads all of stdout and stderr as the answer, so nothing else is ever printed. */
async function print(answer: string | Uint8Array): Promise<number> {
  const bytes = typeof answer === "string" ? new TextEncoder().encode(answer) : answer;
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await Deno.stdout.write(rest));
  return 0;
}

/** Answer of `-version`, for people. */
function versionText(): string {
  return `containerd-shim-kata-v2:\n  Version:  ${VERSION}\n  Runtime:  Deno ${Deno.version.deno}\n`;
}

async function readStdin(): Promise<Uint8Array> {
  return Deno.stdin.isTerminal() ? new Uint8Array() : await new Response(Deno.stdin.readable).bytes();
}
