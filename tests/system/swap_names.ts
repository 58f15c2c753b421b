/**
 * A hostile neighbour: exchanges two names as fast as the kernel can, until it is killed.
 *
 * Usage: swap_names.ts ONE OTHER
 *
 * @see https://man7.org/linux/man-pages/man2/rename.2.html on RENAME_EXCHANGE
 * @module
 */
import { AT_FDCWD } from "../../src/linux/io/fd.ts";
import { bind, check, cstring } from "../../src/linux/ffi/libc.ts";
import { syscallNumber } from "../../src/linux/child_program/syscall_numbers.ts";

const RENAME_EXCHANGE = 2;

const libc = bind({
  renameat2: { name: "syscall", parameters: ["i64", "i32", "buffer", "i32", "buffer", "u32"], result: "i64" },
});

const [one, other] = Deno.args.map(cstring) as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
const number = syscallNumber("renameat2");
check("renameat2", exchange);
Deno.stdout.writeSync(new TextEncoder().encode("swapping\n"));
// One of them may be missing for a moment.
for (;;) exchange();

function exchange(): bigint {
  return libc.renameat2(number, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}
