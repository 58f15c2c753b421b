/** The memory policy of a container, as set_mempolicy(2) takes it. @module */
import { KataError } from "../../base/error.ts";
import { quoted } from "../../base/text.ts";
import { cpusOf, parseCpuList } from "../../base/cpu_list.ts";
import type { MemoryPolicy } from "../spec/spec.ts";

/** Modes, and whether each takes nodes. */
const MODES = {
  MPOL_DEFAULT: { value: 0, nodes: "none" },
  MPOL_PREFERRED: { value: 1, nodes: "any" },
  MPOL_BIND: { value: 2, nodes: "some" },
  MPOL_INTERLEAVE: { value: 3, nodes: "some" },
  MPOL_LOCAL: { value: 4, nodes: "none" },
  MPOL_PREFERRED_MANY: { value: 5, nodes: "some" },
  MPOL_WEIGHTED_INTERLEAVE: { value: 6, nodes: "some" },
} as const;

const FLAGS = { MPOL_F_NUMA_BALANCING: 0x2000, MPOL_F_RELATIVE_NODES: 0x4000, MPOL_F_STATIC_NODES: 0x8000 } as const;

/** Words of a memory policy, for `runk features`. */
export const MEMORY_POLICY_WORDS = { modes: Object.keys(MODES).sort(), flags: Object.keys(FLAGS).sort() };

/** As many as a kernel can be built for. */
const MAX_NODES = 1024;

export interface MemoryPolicyArguments {
  /** Mode and flags. */
  mode: number;
  /** A bit for each node; undefined for none. */
  nodes: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * @throws {KataError} INVALID_ARGUMENT: the kernel would refuse it, or it is no policy.
 * @see https://man7.org/linux/man-pages/man2/set_mempolicy.2.html
 */
export function memoryPolicyArguments({ mode = "", nodes = "", flags = [] }: MemoryPolicy): MemoryPolicyArguments {
  const { value, nodes: wanted } = lookUp(MODES, mode, "mode");
  const bits = flags.map((flag) => lookUp(FLAGS, flag, "flag")).reduce<number>((sum, bit) => sum | bit, value);
  const numbers = nodeNumbers(mode, nodes);
  if (wanted === "none" && numbers.length > 0) throw refuse(mode, "it takes no nodes");
  if (wanted === "some" && numbers.length === 0) throw refuse(mode, "it needs nodes");
  if (numbers.length === 0) return { mode: bits, nodes: undefined };
  if (numbers.some((number) => number >= MAX_NODES)) {
    throw refuse(mode, `nodes ${quoted(nodes)} are beyond ${MAX_NODES}`);
  }
  const mask = new Uint8Array(MAX_NODES / 8);
  for (const number of numbers) mask[number >> 3]! |= 1 << (number & 7);
  return { mode: bits, nodes: mask };
}

function nodeNumbers(mode: string, nodes: string): number[] {
  try {
    return cpusOf(parseCpuList(nodes));
  } catch {
    throw refuse(mode, `${quoted(nodes)} is no list of nodes`);
  }
}

function lookUp<T>(table: Readonly<Record<string, T>>, name: string, what: string): T {
  if (Object.hasOwn(table, name)) return table[name]!;
  throw refuse(name, `known as a ${what} are ${Object.keys(table).join(", ")}`);
}

function refuse(name: string, why: string): KataError {
  return new KataError("INVALID_ARGUMENT", `Cannot use memory policy ${quoted(name)}: ${why}`);
}
