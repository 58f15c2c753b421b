/**
 * The launcher without machine code: a second Deno does what `launcher.ts` says before it becomes the program.
 *
 * Usage: launcher.js DIRECTORY NAME [ARGUMENT...]
 *
 * @module
 */
import { addressIn, bind, check, cstring } from "../../../src/linux/ffi/libc.ts";
import { openInRoot, RESOLVE } from "../../../src/linux/fs/in_root.ts";
import { Fd, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../src/linux/io/fd.ts";
import { MOUNT_ATTR } from "../../../src/linux/mount/mount_options.ts";
import { mountSetattr, openTree } from "../../../src/linux/mount/mount_tree.ts";

const libc = bind({
  execveat: {
    name: "syscall",
    parameters: ["i64", "i32", /* dir */ "buffer", /* name */ "buffer", /* argv, envp */ "pointer", "i32" /* flags */],
    result: "i64",
  },
});
const SYS_EXECVEAT = { x86_64: 322, aarch64: 281 } as const;

/** A copy of the mount that nobody can write to. */
function sealedMount(path: string): Fd {
  using undo = new DisposableStack();
  const tree = undo.use(openTree(path, { clone: true }));
  mountSetattr(tree, { set: MOUNT_ATTR.RDONLY });
  undo.move();
  return tree;
}

/** The directory in a sealed mount, or as it is for who may not mount. */
function openSealed(directory: string): Fd {
  try {
    using root = sealedMount("/");
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    return openInRoot(root, directory.slice(1), { flags, scope: RESOLVE.BENEATH });
  } catch {
    try {
      return sealedMount(directory); // it is on another mount than the root
    } catch {
      return Fd.open(directory, O_PATH | O_DIRECTORY);
    }
  }
}

/** Both lists, their strings and their addresses in one buffer. */
function argumentsOf(argv: readonly string[], envp: readonly string[]) {
  const strings = [...argv, ...envp].map(cstring);
  const slots = strings.length + 2;
  const whole = new Uint8Array(8 * slots + strings.reduce((sum, { length }) => sum + length, 0));
  const pointers = new BigUint64Array(whole.buffer, 0, slots);
  let at = 8 * slots;
  for (const [index, bytes] of strings.entries()) {
    whole.set(bytes, at);
    pointers[index < argv.length ? index : index + 1] = addressIn(whole, at);
    at += bytes.length;
  }
  return { whole, envp: Deno.UnsafePointer.create(addressIn(whole, 8 * (argv.length + 1))) };
}

function main([directory = "", ...argv]: readonly string[]): void {
  const sealed = openSealed(directory);
  const environment = Object.entries(Deno.env.toObject()).map(([name, value]) => `${name}=${value}`);
  const { whole, envp } = argumentsOf(argv, environment);
  const name = cstring(argv[0]!);
  check("execveat", () => libc.execveat(SYS_EXECVEAT[Deno.build.arch], sealed.number, name, whole, envp, 0), argv[0]);
}

main(Deno.args);
