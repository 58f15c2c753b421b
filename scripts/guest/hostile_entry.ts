/**
 * The agent of a hostile guest, for tests/security: the real one over the real channel, until a test has it do something
 * else. A test runs `attack TEXT` in a container; the agent sees that call first, runs the function in TEXT as root of
 * the guest, and lets the container print what it gave back.
 *
 * @module
 */
import { ConnectError } from "@connectrpc/connect";
import { main } from "../../src/agent/main.ts";
import { agentServices } from "../../src/agent/services/mod.ts";
import type { Guest } from "../../src/agent/guest.ts";
import { errorChain } from "../../src/base/error.ts";
import { captureOutput, type Output } from "../../src/linux/process/spawn.ts";
import type { ExecProcessRequest } from "../../src/proto/agent_pb.ts";
import type { TtrpcService } from "../../src/rpc/ttrpc/server.ts";
import { installTimers } from "../accelerate/timers/timers.ts";

/** Tools of an attack; the rest is Deno's, as root of the guest. */
export interface HostileGuest {
  /** The agent behind. */
  guest: Guest;
  /**
   * Other answers to the host's calls, by the name of the method. `honest` gives what the agent would have answered.
   */
  // deno-lint-ignore no-explicit-any
  answers: Record<string, (request: any, honest: () => Promise<any>) => unknown>;
  /** Runs a script of the guest's shell, outside all containers. */
  sh(script: string): Promise<Output>;
  /** For answers that are errors. */
  ConnectError: typeof ConnectError;
  /** Values that attacks leave for later ones. */
  // deno-lint-ignore no-explicit-any
  kept: Record<string, any>;
}

/** Message of a test: a function's text and its arguments; what comes back is `{ value }` or `{ error }`. */
export interface Attack {
  text: string;
  args: readonly unknown[];
}

/** First word of a command that is meant for the agent. */
const ATTACK_WORD = "attack ";
/** The attack that is there from the start, if the initramfs has one. */
const FIRST_ATTACK = "/mnt/first.json";

function hostileServices(guest: Guest): TtrpcService[] {
  const sh = (script: string) => captureOutput("/bin/sh", ["-c", script]);
  const hostile: HostileGuest = { guest, answers: {}, sh, ConnectError, kept: {} };
  const first = readFirst();
  if (first !== undefined) void perform(hostile, first);
  return agentServices(guest).map((service) => withAnswers(service, hostile));
}

function withAnswers(service: TtrpcService, hostile: HostileGuest): TtrpcService {
  const methods = Object.entries(service.methods).map(([name, method]) => {
    const honest = method.impl as (request: unknown, context: unknown) => Promise<unknown>;
    const impl = async (request: unknown, context: unknown) => {
      if (name === "execProcess") await obey(request as ExecProcessRequest, hostile);
      const answer = hostile.answers[name];
      return await (answer === undefined ? honest(request, context) : answer(request, async () => {
        return await honest(request, context);
      }));
    };
    return [name, { ...method, impl }];
  });
  return { ...service, methods: Object.fromEntries(methods) };
}

/** Runs the attack that a command is, and makes the command one that prints the result. */
async function obey({ process }: ExecProcessRequest, hostile: HostileGuest): Promise<void> {
  const word = process?.Args.at(-1);
  if (process === undefined || !word?.startsWith(ATTACK_WORD)) return;
  process.Args = ["/bin/echo", await perform(hostile, JSON.parse(word.slice(ATTACK_WORD.length)))];
}

async function perform(hostile: HostileGuest, { text, args }: Attack): Promise<string> {
  try {
    const value = await new Function(`return (${text})`)()(hostile, ...args);
    return JSON.stringify({ value });
  } catch (error) {
    return JSON.stringify({ error: errorChain(error) });
  }
}

function readFirst(): Attack | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(FIRST_ATTACK));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

installTimers();

main(Deno.args, hostileServices).then(Deno.exit, (error) => {
  Deno.stderr.writeSync(new TextEncoder().encode(`kata-agent: ${errorChain(error)}\n`));
  Deno.exit(1);
});
