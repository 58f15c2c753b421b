/** Error numbers in words. @module */
import { ERRNO, type ErrnoName } from "./errno.ts";
import { bind } from "./libc.ts";

const libc = bind({ strerror: { parameters: ["i32"], result: "pointer" } });

/** Describes an error number as the C library does, in lower case as programs in Go do: `no such file or directory`. */
export function describeErrno(name: ErrnoName): string {
  const text = Deno.UnsafePointerView.getCString(libc.strerror(ERRNO[name])!);
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Puts words for the names of error numbers that our errors end with, and leaves the rest of a text. */
export function describeErrnos(text: string): string {
  return text.replace(/(?<=: )E[A-Z0-9]+(?=$|[:;)]| \()/g, (name) => isErrnoName(name) ? describeErrno(name) : name);
}

function isErrnoName(name: string): name is ErrnoName {
  return name in ERRNO;
}
