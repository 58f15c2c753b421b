/**
 * The end of a machine, for the agent as its init.
 *
 * @see https://man7.org/linux/man-pages/man2/reboot.2.html
 * @module
 */
import { bind, check } from "../ffi/libc.ts";

const libc = bind({
  sync: { parameters: [], result: "void" },
  reboot: { parameters: ["i32" /* command */], result: "i32" },
});

const COMMANDS = { powerOff: 0x4321fedc, restart: 0x01234567, halt: 0xcdef0123 } as const;

/** Ways to end the machine's run: a command of reboot(2). */
export type PowerAction = keyof typeof COMMANDS;

/** Writes all file systems' data to their devices and waits for it. */
export function sync(): void {
  libc.sync();
}

/**
 * Writes back all data and ends the machine, or restarts it: at once, whatever runs. Within a pid namespace it ends
 * that namespace only.
 *
 * @throws {ErrnoError} EPERM
 */
export function endMachine(action: PowerAction): void {
  sync();
  check("reboot", () => libc.reboot(COMMANDS[action] | 0), action);
}
