/** `runk events`: what a container uses, and its OOM kills, as one JSON object a line. @module */
import { systemClock } from "../../../base/clock.ts";
import { KataError } from "../../../base/error.ts";
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf, print } from "../command.ts";
import { statsEvent } from "../stats_event.ts";

export const command: Command = defineCommand({
  usage: "<container-id>",
  summary: "Prints the statistics of a container now and then, and each OOM kill, until the container has stopped.",
  flags: {
    stats: { kind: "flag", help: "print the statistics once" },
    interval: { kind: "text", value: "DURATION", help: "pause between two, such as 500ms or 5s (default)" },
  },
  words: [1, 1],
  async run({ global, flags, args }) {
    const container = Container.load(args[0]!, homeOf(global));
    if (container.status() === "stopped") {
      throw new KataError("FAILED_PRECONDITION", `Cannot watch container "${container.id}": it is stopped`);
    }
    if (flags.stats) printEvent("stats", container.id, statsEvent(container.stats()));
    else await follow(container, parseDuration(flags.interval ?? "5s"));
    return 0;
  },
});

async function follow(container: Container, everyMs: number): Promise<void> {
  const ending = new AbortController();
  const ooms = (async () => {
    for await (const _ of container.oomEvents({ signal: ending.signal })) printEvent("oom", container.id);
  })();
  while (container.status() !== "stopped") {
    printEvent("stats", container.id, statsEvent(container.stats()));
    await systemClock.sleep(everyMs);
  }
  ending.abort();
  await ooms.catch((error: unknown) => {
    if (!ending.signal.aborted) throw error;
  });
}

function printEvent(type: string, id: string, data?: unknown): void {
  print(`${JSON.stringify({ type, id, data }, (_key, value) => typeof value === "bigint" ? Number(value) : value)}\n`);
}

/** @returns Milliseconds, at least 1. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(number) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit ?? ""] ?? NaN);
  if (!(ms >= 1)) throw new RangeError(`Cannot use interval "${text}": expected a duration such as 500ms or 5s`);
  return ms;
}
