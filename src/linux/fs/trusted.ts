/**
 * Files that only the administrator can have put where they are: a user who can change a file, one of the directories
 * above it or a link on the way chooses what root reads or runs.
 *
 * Here links may lead anywhere, as long as they are the administrator's; `guarded_path.ts` is for paths that are not.
 *
 * @see https://man7.org/linux/man-pages/man7/path_resolution.7.html
 * @module
 */
import { Fd, O_NOFOLLOW, O_PATH, pathOf } from "../io/fd.ts";

/** Thrown if users other than the administrator can change the file to which a path leads. */
export class UntrustedError extends Error {
  override readonly name = "UntrustedError";
}

/** A place on a path. */
interface Place {
  fd: Fd;
  /** Without links; empty for the root directory. */
  path: string;
}

/** An open file that nobody but the administrator can change or exchange. */
export interface TrustedFile extends Disposable {
  /** Path of the file, without links. */
  readonly path: string;
  /** A path to the very file that was looked at, until the end of this object. */
  readonly seen: string;
}

/** As many as the kernel follows. */
const MOST_LINKS = 40;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Opens a file or directory, and looks at all that the path leads through: each directory, each link and the file itself
 * must belong to the administrator, who is the owner of `/`, or to the caller, and nobody else may write to it. A directory
 * with the sticky bit, such as `/tmp`, may be writable: nobody can exchange there what is somebody else's.
 *
 * The walk goes from descriptor to descriptor: what is opened is what was looked at.
 *
 * @param path Absolute.
 * @throws {UntrustedError} It names the first place that others can change.
 * @throws {ErrnoError} Something on the way is not there, or no directory.
 */
export function openTrusted(path: string): TrustedFile {
  if (!path.startsWith("/")) throw new RangeError(`Cannot open "${path}": the path must be absolute`);
  using undo = new DisposableStack();
  const walked: Place[] = [{ fd: undo.use(Fd.open("/", O_PATH)), path: "" }];
  const owners = [Deno.uid()!, verifyPlace(walked[0]!).uid!];
  const rest = namesOf(path);
  for (let links = 0; rest.length > 0;) {
    const [name, at] = [rest.pop()!, walked.at(-1)!];
    if (name === "..") {
      if (walked.length > 1) walked.pop();
      continue;
    }
    const next = openNext(at, name);
    undo.use(next.fd);
    if (!verifyPlace(next, owners).isSymlink) {
      walked.push(next);
      continue;
    }
    if (++links > MOST_LINKS) throw new UntrustedError(`"${path}" leads through more than ${MOST_LINKS} links`);
    // Nobody but the administrator could have exchanged it meanwhile.
    const target = Deno.readLinkSync(`${pathOf(at.fd)}/${name}`);
    if (target.startsWith("/")) walked.length = 1;
    rest.push(...namesOf(target));
  }
  return trustedFile(walked.at(-1)!);
}

/** Whether {@linkcode openTrusted} would open it; if not, why, as a clause that names the place. */
export function distrust(path: string): string | undefined {
  try {
    openTrusted(path)[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String((error as Error).message);
  }
}

/** The names of a path, the last one first. */
function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".").reverse();
}

function openNext(at: Place, name: string): Place {
  return { fd: Fd.openAt(at.fd, name, { flags: O_PATH | O_NOFOLLOW }), path: `${at.path}/${name}` };
}

function verifyPlace({ fd, path }: Place, owners?: readonly number[]): Deno.FileInfo {
  const info = Deno.statSync(pathOf(fd));
  const mode = info.mode ?? 0;
  if (owners !== undefined && !owners.includes(info.uid!)) {
    throw new UntrustedError(`"${path || "/"}" belongs to user ${info.uid}`);
  }
  const isGuarded = info.isSymlink || (info.isDirectory && (mode & STICKY) !== 0);
  if (!isGuarded && (mode & OTHERS_WRITE) !== 0) {
    throw new UntrustedError(`others than its owner may write to "${path || "/"}"`);
  }
  return info;
}

function trustedFile({ fd, path }: Place): TrustedFile {
  const own = new Fd(fd.release());
  return { path: path || "/", seen: pathOf(own), [Symbol.dispose]: () => own[Symbol.dispose]() };
}
