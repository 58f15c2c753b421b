/**
 * The door for what QEMU answers. A guest that has broken out speaks for QEMU, so an answer may hold anything:
 * here it becomes a value that the host can work with, or one error.
 *
 * @module
 */
import type { Props } from "../props.ts";

/** A version of QEMU, such as 7.2. */
export interface QemuVersion {
  major: number;
  minor: number;
}

/** Of the greeting. @returns undefined for one that names none. */
export function qemuVersion(greeting: unknown): QemuVersion | undefined {
  const version = isObject(greeting) && isObject(greeting.version) ? greeting.version.qemu : undefined;
  if (!isObject(version)) return undefined;
  const { major, minor } = version;
  return Number.isSafeInteger(major) && Number.isSafeInteger(minor)
    ? { major: major as number, minor: minor as number }
    : undefined;
}

/** A place for a vCPU. */
export interface CpuSocket {
  type: string;
  props: Props;
  isFree: boolean;
}

/** Of `query-hotpluggable-cpus`. @throws {TypeError} It is no list of them. */
export function cpuSockets(answer: unknown): CpuSocket[] {
  return listOf(answer, "sockets for vCPUs").map((socket) => {
    const { type, props } = socket;
    if (typeof type !== "string" || !isObject(props) || !Object.values(props).every(isPlain)) {
      throw new TypeError("Cannot use what QEMU answers: a socket for a vCPU lacks its type or its place");
    }
    return { type, props: props as Props, isFree: socket["qom-path"] === undefined };
  });
}

/** Of `add-fd`. @returns The set's number. @throws {TypeError} There is none. */
export function fdSet(answer: unknown): number {
  const number = isObject(answer) ? answer["fdset-id"] : undefined;
  if (Number.isSafeInteger(number)) return number as number;
  throw new TypeError("Cannot use what QEMU answers: it names no set for the descriptor");
}

/**
 * Of `query-cpus-fast`.
 *
 * @returns Those that are threads of the process: any of the host's may be named. @throws {TypeError} It is no list.
 */
export function cpuThreads(answer: unknown, pid: number): number[] {
  const own = new Set([...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => Number(name)));
  const named = listOf(answer, "vCPUs").map((cpu) => cpu["thread-id"]);
  return named.filter((thread): thread is number => typeof thread === "number" && own.has(thread));
}

/** Of `query-status`: one word, such as `running`. */
export function runState(answer: unknown): string {
  const status = isObject(answer) ? answer.status : undefined;
  if (typeof status === "string" && /^[a-z-]{1,40}$/.test(status)) return status;
  throw new TypeError("Cannot use what QEMU answers: it names no state of the machine");
}

/** Place of a processor in the guest's program. */
export interface ProcessorState {
  /** Instruction pointer, in hexadecimal digits. */
  pointer: string;
  /** It waits for an interrupt; x86 alone tells. */
  isHalted: boolean;
}

/** Of the monitor's text `info registers`, for the first processor. */
export function processorState(answer: unknown): ProcessorState {
  const text = typeof answer === "string" ? answer : "";
  const pointer = /\b(?:RIP|EIP|PC)=([0-9a-f]{4,16})\b/.exec(text)?.[1];
  if (pointer !== undefined) return { pointer, isHalted: /\bHLT=1\b/.test(text) };
  throw new TypeError("Cannot use what QEMU answers: it shows no instruction pointer");
}

function listOf(answer: unknown, what: string): Record<string, unknown>[] {
  if (Array.isArray(answer) && answer.every(isObject)) return answer;
  throw new TypeError(`Cannot use what QEMU answers: it is no list of ${what}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isPlain(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
