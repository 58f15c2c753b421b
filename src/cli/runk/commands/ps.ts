/** `runk ps`: the processes of a container. @module */
import { captureOutput } from "../../../linux/process/spawn.ts";
import { Container } from "../../../oci/container/container.ts";
import { type Command, defineCommand, homeOf, print } from "../command.ts";

export const command: Command = defineCommand({
  usage: "<container-id> [ps options]",
  summary: "Shows the processes of a container.",
  flags: { format: { kind: "text", aliases: ["f"], value: "FORMAT", help: "table (default) or json" } },
  words: [1, Infinity],
  flagsUntil: "word",
  async run({ global, flags, args: [id, ...options] }) {
    const pids = Container.load(id!, homeOf(global)).pids();
    const format = flags.format ?? "table";
    if (format === "json") print(`${JSON.stringify(pids)}\n`);
    else if (format === "table") print(onlyPids(await hostProcesses(options), new Set(pids)));
    else throw new RangeError(`Cannot show processes as "${format}": formats are table and json`);
    return 0;
  },
});

async function hostProcesses(options: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await captureOutput("ps", options.length === 0 ? ["-ef"] : options);
  if (code !== 0) throw new Error(`Cannot run ps: ${stderr.trim()}`);
  return stdout;
}

/** The header of ps's output and the rows whose PID column is one of `pids`. */
export function onlyPids(text: string, pids: ReadonlySet<number>): string {
  const [head = "", ...rows] = text.split("\n");
  const column = head.trim().split(/\s+/).indexOf("PID");
  if (column < 0) throw new Error("Cannot find the column PID in the output of ps");
  const own = rows.filter((row) => pids.has(Number(row.trim().split(/\s+/)[column])));
  return [head, ...own].map((row) => `${row}\n`).join("");
}
