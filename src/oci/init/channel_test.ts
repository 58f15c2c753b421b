import assert from "node:assert/strict";
import { SyscallProgram } from "../../linux/child_program/program.ts";
import { Channel, type Message } from "./channel.ts";

/** A child that was to say `planned`, in whose place somebody says each letter of `said`. */
async function hear(planned: readonly Message[], said: string): Promise<(Message | undefined)[]> {
  using program = new SyscallProgram();
  using channel = new Channel();
  for (const message of planned) channel.addStop(program, message);
  channel.childFds[0]!.write(new TextEncoder().encode(said));
  channel.started();
  const heard: (Message | undefined)[] = [];
  while (heard.length <= said.length) heard.push(await channel.receive());
  return heard;
}

Deno.test("Channel takes what the steps of its child say, in their order, up to its end", async () => {
  assert.deepEqual(await hear(["maps", "copyUp", "copyUp"], "muu"), ["maps", "copyUp", "copyUp", undefined]);
});

Deno.test.each<{ planned: Message[]; said: string; words: string }>([
  { planned: ["maps", "hooks"], said: "h", words: 'says "hooks"' },
  { planned: ["maps", "hooks"], said: "mm", words: 'says "maps"' },
  { planned: ["stage2"], said: "il", words: 'says "listener"' },
  { planned: [], said: "f", words: 'says "suspend"' },
  { planned: ["created"], said: "?", words: "says what no process says" },
])(
  "Channel of a child that plans $planned refuses $said, as somebody else says it",
  async ({ planned, said, words }) => {
    const message = `Cannot start a process: it was tampered with, and ${words}`;
    await assert.rejects(hear(planned, said), { code: "PERMISSION_DENIED", message });
  },
);
