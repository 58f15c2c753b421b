/**
 * Modules of the kernel.
 *
 * @see https://man7.org/linux/man-pages/man2/finit_module.2.html
 * @module
 */
import { syscallNumber } from "../child_program/syscall_numbers.ts";
import { isErrno } from "../ffi/errno.ts";
import { bind, check, cstring } from "../ffi/libc.ts";
import { Fd, O_RDONLY } from "../io/fd.ts";

const libc = bind({
  finit_module: {
    name: "syscall",
    parameters: ["i64", "i32", /* file */ "buffer", /* parameters */ "i32" /* flags */],
    result: "i64",
  },
});

/** Loads a module from its file; one that is there already is no error. @throws {ErrnoError} ENOENT, ENOEXEC… */
export function insertModule(path: string): void {
  using file = Fd.open(path, O_RDONLY);
  const parameters = cstring("");
  try {
    check("finit_module", () => libc.finit_module(syscallNumber("finit_module"), file.number, parameters, 0), path);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/**
 * Finds a module and what it needs among the lines of `modules.dep`.
 *
 * @param name As its file is called, without `.ko`.
 * @returns Paths below the directory of that file, in the order in which they load; none if there is no such module.
 */
export function moduleFiles(dependencies: string, name: string): string[] {
  const at = dependencies.indexOf(`/${name}.ko:`);
  if (at < 0) return [];
  const begin = dependencies.lastIndexOf("\n", at) + 1;
  const end = dependencies.indexOf("\n", at);
  const [file, needs] = dependencies.slice(begin, end < 0 ? undefined : end).split(":");
  return [...needs!.split(" ").filter((path) => path !== "").reverse(), file!];
}
