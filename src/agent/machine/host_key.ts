/**
 * The key by which the host proves itself, as the VMM gave it: an OEM string of the firmware, or where there is none
 * (arm64) a file of QEMU's. The kernel shows both to the guest's root alone, and to no container but a privileged one.
 *
 * @see https://www.dmtf.org/standards/smbios
 * @module
 */
import { isErrno } from "../../linux/ffi/errno.ts";
import type { Logger } from "../../base/log.ts";
import { HOST_KEY_FILE } from "../../agent_api/names.ts";
import type { AgentOptions } from "../../agent_api/options.ts";
import { type Admission, HOST_KEY_NAME, type HostMark, parseHostMark } from "../../rpc/transport/host_proof.ts";

const SMBIOS_TABLES = "/sys/firmware/dmi/tables/DMI";
const QEMU_FILE = `/sys/firmware/qemu_fw_cfg/by_name/${HOST_KEY_FILE}/raw`;
const OEM_STRINGS = 11;
/** Bytes of a structure's own fields that say how it goes on: type, length, handle. */
const HEADER = 4;

/**
 * Whom this agent serves over vsock.
 *
 * @param log Hears of those that were refused: the first, the second, the fourth and so on, as there may be many.
 * @throws {Error} The host has to prove itself, but gave nothing to prove itself with.
 */
export function hostAdmission({ hostProof, serverAddress, logPort }: AgentOptions, log?: Logger): Admission {
  const usesVsock = logPort > 0 || serverAddress.startsWith("vsock:");
  const mark = hostProof === "none" || !usesVsock ? undefined : hostMark ??= readHostMark();
  let refused = 0;
  return {
    key: mark?.key,
    usesHostPorts: mark?.usesHostPorts === true,
    onRefused(reason) {
      refused++;
      if (Number.isInteger(Math.log2(refused))) log?.warning("Refused a connection", { reason, refused });
    },
  };
}

/** Read once: in an emulated guest that takes a while, and it stays as it is. */
let hostMark: HostMark | undefined;

function readHostMark(): HostMark {
  const text = findHostKey(oemStrings(readIfThere(SMBIOS_TABLES))) ??
    findHostKey([new TextDecoder().decode(readIfThere(QEMU_FILE))]);
  if (text !== undefined) return parseHostMark(text);
  throw new Error(
    'Cannot serve on vsock: this machine was given no key that its host could prove itself with. "agent.host_proof=none" ' +
      "on the kernel's command line lets the agent serve everybody on the host, as Kata's own does",
  );
}

function readIfThere(path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return new Uint8Array(); // no such firmware
    throw error;
  }
}

/** @returns What stands behind its name, unchecked. */
export function findHostKey(strings: readonly string[]): string | undefined {
  return strings.find((text) => text.startsWith(HOST_KEY_NAME))?.slice(HOST_KEY_NAME.length);
}

/** The OEM strings in SMBIOS tables: structures, each followed by its strings and a NUL more. Whatever is cut off ends it. */
export function oemStrings(tables: Uint8Array): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at + HEADER <= tables.length;) {
    const [type, length = 0] = tables.subarray(at);
    if (length < HEADER) break;
    const end = endOfStrings(tables, at + length);
    if (type === OEM_STRINGS) found.push(...new TextDecoder().decode(tables.subarray(at + length, end)).split("\0"));
    at = end + 2;
  }
  return found.filter((text) => text !== "");
}

/** @returns Where the two NULs begin. */
function endOfStrings(tables: Uint8Array, from: number): number {
  let at = from;
  while (at + 1 < tables.length && (tables[at] !== 0 || tables[at + 1] !== 0)) at++;
  return at;
}
