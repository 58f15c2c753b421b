/** For tests: the other end of a QMP connection, in memory. @module */
import type { QmpWire } from "../qmp/qmp.ts";

export const GREETING = { QMP: { version: {}, capabilities: ["oob"] } };

export interface Command {
  execute: string;
  arguments: Record<string, unknown>;
  id: number;
}

/** A QEMU that answers as the test says; `say` sends any object to the client. @param version Such as 7.2. */
export function fakeQmp(
  answer: (command: Command, say: (message: unknown) => void) => void,
  version?: { major: number; minor: number },
): QmpWire & { say(message: unknown): void } {
  const input = new TransformStream<Uint8Array, Uint8Array>();
  const writer = input.writable.getWriter();
  const say = (message: unknown) =>
    void writer.write(new TextEncoder().encode(`${JSON.stringify(message)}\r\n`)).catch(() => {});
  say({ QMP: { ...GREETING.QMP, ...(version && { version: { qemu: version } }) } });
  return {
    say,
    input: input.readable,
    send: async (data) => {
      const command: Command = JSON.parse(new TextDecoder().decode(data));
      if (command.execute === "qmp_capabilities") say({ return: {}, id: command.id });
      else answer(command, say);
    },
    close: () => void writer.close().catch(() => {}),
  };
}
