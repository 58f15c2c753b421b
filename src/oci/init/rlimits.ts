/** Resource limits of a process. @see https://man7.org/linux/man-pages/man2/prlimit.2.html @module */
import { quoted } from "../../base/text.ts";
import type { Rlimit } from "../spec/spec.ts";

const NUMBERS: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

/** A limit as prlimit(2) takes it. */
export interface RlimitCall {
  name: string;
  resource: number;
  /** struct rlimit64: soft, then hard. */
  limits: Uint8Array<ArrayBuffer>;
}

/**
 * @throws {TypeError} A type that Linux does not have, or a value is missing.
 * @throws {RangeError} The soft limit is above the hard one, or a value is negative.
 */
export function rlimitCall({ type, soft, hard }: Rlimit): RlimitCall {
  const resource = NUMBERS[type];
  if (resource === undefined) throw new TypeError(`Cannot set limit ${quoted(type)}: there is none of this name`);
  // A specification may lack them, whatever its type says.
  const missing = Object.entries({ soft, hard }).find(([, value]) => value === undefined)?.[0];
  if (missing !== undefined) throw new TypeError(`Cannot set limit ${quoted(type)}: its ${missing} value is missing`);
  const [softValue, hardValue] = [BigInt(soft), BigInt(hard)];
  if (softValue < 0n || hardValue >= 2n ** 64n || softValue > hardValue) {
    throw new RangeError(`Cannot set limit ${quoted(type)} to ${soft} (soft) and ${hard} (hard)`);
  }
  return { name: type, resource, limits: new Uint8Array(new BigUint64Array([softValue, hardValue]).buffer) };
}
