/** Rules of the guest's packet filter, as iptables' own programs write and read them. @module */
import { exists } from "../../base/files.ts";
import { KataError } from "../../base/error.ts";
import { captureOutput } from "../../linux/process/spawn.ts";
import type { AgentMethods } from "../guest.ts";

const DIRECTORIES = ["/usr/sbin", "/sbin"];

/** Seconds that a restore waits for another program that changes the rules. */
const LOCK_SECONDS = 5;

/** Guest images may lack these programs, as ours does. */
export function packetFilterMethods(
  { directories = DIRECTORIES }: { directories?: readonly string[] } = {},
): AgentMethods {
  return {
    async getIPTables({ isIpv6 }, { signal }) {
      return { data: await run({ tool: toolOf("save", isIpv6), directories, signal }) };
    },
    async setIPTables({ isIpv6, data }, { signal }) {
      const args = ["--wait", `${LOCK_SECONDS}`];
      const input = data as Uint8Array<ArrayBuffer>;
      return { data: await run({ tool: toolOf("restore", isIpv6), args, input, directories, signal }) };
    },
  };
}

function toolOf(task: "save" | "restore", isIpv6: boolean): string {
  return `${isIpv6 ? "ip6tables" : "iptables"}-${task}`;
}

interface Run {
  tool: string;
  args?: readonly string[];
  input?: Uint8Array<ArrayBuffer>;
  directories: readonly string[];
  signal: AbortSignal;
}

/** @returns What the program prints. @throws {KataError} FAILED_PRECONDITION: the guest lacks it; INVALID_ARGUMENT: it fails. */
async function run({ tool, args = [], input, directories, signal }: Run): Promise<Uint8Array> {
  const path = directories.map((directory) => `${directory}/${tool}`).find(exists);
  if (path === undefined) {
    const why = `the guest's image has no ${tool} in ${directories.join(" or ")}`;
    throw new KataError("FAILED_PRECONDITION", `Cannot work on the guest's packet filter: ${why}`);
  }
  const { code, stdout, stderr } = await captureOutput(path, args, { input, signal });
  if (code === 0) return new TextEncoder().encode(stdout);
  throw new KataError(
    "INVALID_ARGUMENT",
    `Cannot work on the guest's packet filter: ${tool} ended with ${code}: ${stderr.trim()}`,
  );
}
