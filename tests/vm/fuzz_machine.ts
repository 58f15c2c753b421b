/** The machine in which fuzz targets run that could do harm: its disks are read-only, and it goes with the run. @module */
import { THROWAWAY } from "../fuzz/core/box.ts";
import { bringBundle, bringRunk, command, type MachineRun, runMachine } from "./systemd_machine.ts";

/** End of the report of `scripts/fuzz.ts`, with its exit status. */
export const ENDED = /^# fuzz ended (\d+)$/m;

/** As deep as the sources, which find other files by their own place. */
const PROGRAMS = "tests/fuzz/core";

/** Runs `scripts/fuzz.ts` once for each list of arguments. @returns What it wrote. */
export async function fuzzInMachine(
  calls: readonly (readonly string[])[],
  options: Pick<MachineRun, "onText" | "limitMs"> = {},
): Promise<string> {
  const call = (args: readonly string[]) => `./deno run -A ${PROGRAMS}/fuzz.js ${args.map(quote).join(" ")} 2>&1`;
  const script = [
    // Where the agent keeps namespaces.
    "ln -s /run /var/run",
    "export RUNTIME=/suite/bin/runk",
    "status=0",
    ...calls.map((args) => `${call(args)} || status=$?`),
    'echo; echo "# fuzz ended $status"',
  ].join("\n");
  return await runMachine({ script, bring, words: [THROWAWAY], ...options });
}

async function bring(tree: string): Promise<void> {
  await bringBundle("scripts/fuzz.ts", `${tree}/${PROGRAMS}/fuzz.js`);
  await bringBundle("tests/fuzz/core/loop.ts", `${tree}/${PROGRAMS}/loop.js`);
  await bringRunk(tree);
  await command("cp", "-r", "deno.json", "config", "tests/fuzz/seeds", tree);
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
