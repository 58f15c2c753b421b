/** The emulator that a configuration means. @module */

/** QEMU calls its emulators by the names that Deno has for architectures. */
export function emulatorOf({ path }: { path: string }): string {
  return path === "" ? `/usr/bin/qemu-system-${Deno.build.arch}` : path;
}
