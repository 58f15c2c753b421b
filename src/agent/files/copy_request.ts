/** Reads and checks a CopyFile request before anything is touched. Pure. @module */
import { GUEST_PATH } from "../../agent_api/names.ts";
import { KataError } from "../../base/error.ts";
import type { CopyFileRequest } from "../../proto/agent_pb.ts";

/** Fields of every kind of copy. */
interface CopyBase {
  /** Elements of the path below the shared directory, at least one. For a link: its name, not where it leads. */
  elements: readonly string[];
  /** Permission bits of the source with set-id and sticky bits. */
  mode: number;
  /** Permission bits for parents that have to be made. */
  parentMode: number;
  /** Owner; undefined leaves the agent's own. */
  uid: number | undefined;
  gid: number | undefined;
}

/** One CopyFile request as a thing to do. */
export type Copy =
  | CopyBase & { kind: "directory" }
  | CopyBase & { kind: "symlink"; target: string }
  /** `data` goes to `offset`; the file takes its place when it has `size` bytes. */
  | CopyBase & { kind: "file"; size: number; offset: number; data: Uint8Array };

const S_IFMT = 0o170000;
const KINDS: Readonly<Record<number, Copy["kind"]>> = { 0o040000: "directory", 0o100000: "file", 0o120000: "symlink" };

/**
 * Reads and checks a request.
 *
 * @param sharedDir The only directory that may be written to, without a trailing slash.
 * @throws {KataError} INVALID_ARGUMENT or PERMISSION_DENIED, naming the path and the rule.
 */
export function parseCopy(request: CopyFileRequest, sharedDir: string): Copy {
  const { path } = request;
  const refuse = (why: string) => new KataError("INVALID_ARGUMENT", `Cannot copy to ${JSON.stringify(path)}: ${why}`);
  const kind = KINDS[request.fileMode & S_IFMT] ?? (request.fileMode & S_IFMT ? undefined : "file");
  if (kind === undefined) throw refuse(`file type ${(request.fileMode & S_IFMT).toString(8)} is not supported`);
  const base: CopyBase = {
    elements: elementsBelow(path, sharedDir),
    mode: request.fileMode & 0o7777,
    parentMode: (request.dirMode & 0o777) || 0o750,
    uid: request.uid < 0 ? undefined : request.uid,
    gid: request.gid < 0 ? undefined : request.gid,
  };
  if (kind === "directory") return { ...base, kind };
  if (kind === "symlink") return { ...base, kind, target: checkedTarget(base.elements, request.data, refuse) };
  const size = Number(request.fileSize);
  const offset = Number(request.offset);
  if (offset < 0 || offset + request.data.length > size) {
    throw refuse(`${request.data.length} bytes at offset ${offset} do not fit into ${size}`);
  }
  return { ...base, kind, size, offset, data: request.data };
}

function elementsBelow(path: string, sharedDir: string): readonly string[] {
  const elements = path.startsWith(`${sharedDir}/`) ? path.slice(sharedDir.length + 1).split("/") : [];
  const clean = elements.filter((element) => element !== "" && element !== ".");
  if (clean.length > 0 && !clean.includes("..") && !path.includes("\0")) return clean;
  const why = `only paths below "${sharedDir}" without ".." may be written`;
  throw new KataError("PERMISSION_DENIED", `Cannot copy to ${JSON.stringify(path)}: ${why}`);
}

/** Directory in the shared one in which volumes and root file systems stand as well. */
const PASSTHROUGH = GUEST_PATH.passthrough.slice(GUEST_PATH.shared.length + 1);

/**
 * In a volume a link leads anywhere, as in Kata's agent and as a container itself could make it: whoever opens something
 * in a volume does so beneath its root, see `guest_path.ts`. Where the volumes and root file systems themselves stand, a
 * link could put something else in the place of one.
 */
function checkedTarget(elements: readonly string[], data: Uint8Array, refuse: (why: string) => KataError): string {
  const target = decodeTarget(data);
  if (target === undefined) throw refuse("the link's target is empty or no text");
  if (elements.length === 1) throw refuse("a link may not stand directly in the shared directory");
  const leadsOut = target.startsWith("/") || target.split("/").includes("..");
  if (leadsOut && elements.length === 2 && elements[0] === PASSTHROUGH) {
    throw refuse(`a link to ${JSON.stringify(target)} may not stand among volumes and root file systems`);
  }
  return target;
}

function decodeTarget(data: Uint8Array): string | undefined {
  try {
    const target = new TextDecoder("utf-8", { fatal: true }).decode(data);
    return target === "" || target.includes("\0") ? undefined : target;
  } catch {
    return undefined;
  }
}
