/** Files that appear whole or not at all, also if their writer is killed. @module */
import { isErrno } from "../ffi/errno.ts";
import { AT_FDCWD, Fd, O_DIRECTORY, O_WRONLY, pathOf } from "../io/fd.ts";
import { bind, check, cstring } from "../ffi/libc.ts";

const libc = bind({
  linkat: {
    parameters: ["i32", /* dir */ "buffer", /* path */ "i32", /* new dir */ "buffer", /* new path */ "i32" /* flags */],
    result: "i32",
  },
});

const O_TMPFILE = 0o20000000 | O_DIRECTORY;
const AT_SYMLINK_FOLLOW = 0x400;

/**
 * Writes a file, in place of one that is there.
 *
 * @param mode Permission bits, before the umask.
 * @see https://man7.org/linux/man-pages/man2/open.2.html on O_TMPFILE
 */
export function writeWholeFile(path: string, text: string, { mode }: { mode: number }): void {
  const data = new TextEncoder().encode(text);
  const slash = path.lastIndexOf("/") + 1;
  const [directory, name] = [path.slice(0, slash), path.slice(slash)];
  using file = openNameless(`${directory}.`, mode);
  if (file === undefined) return writeStaged(path, data, { staged: `${directory}.${name}`, mode });
  file.writeAll(data);
  try {
    nameFile(file, path);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    Deno.removeSync(path);
    nameFile(file, path);
  }
}

/** @returns Undefined if the file system has no files without a name. */
function openNameless(directory: string, mode: number): Fd | undefined {
  try {
    return Fd.open(directory, O_TMPFILE | O_WRONLY, mode);
  } catch (error) {
    if (isErrno(error, "EOPNOTSUPP", "EISDIR")) return undefined;
    throw error;
  }
}

function nameFile(file: Fd, path: string): void {
  const [nameless, name] = [cstring(pathOf(file)), cstring(path)];
  check("linkat", () => libc.linkat(AT_FDCWD, nameless, AT_FDCWD, name, AT_SYMLINK_FOLLOW), path);
}

/** Writes under another name, then renames, where O_TMPFILE is not supported: a kill in between leaves that name. */
function writeStaged(
  path: string,
  data: Uint8Array<ArrayBuffer>,
  { staged, mode }: { staged: string; mode: number },
): void {
  Deno.writeFileSync(staged, data, { mode });
  Deno.renameSync(staged, path);
}
