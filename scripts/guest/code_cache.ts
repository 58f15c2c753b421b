/**
 * Compiles the agent with the Deno of the guest, so that the guest need not: parsing and compiling it takes an emulated
 * machine half a second. What Deno keeps between two runs of a program (its databases in DENO_DIR) is made here, and goes
 * into the initramfs. V8 refuses it if its version, its flags or the script differ, and then compiles as ever.
 *
 * Usage: code_cache.ts RUNTIME MAIN.js AGENT.js DIRECTORY     the same files always give the same bytes
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { AGENT_DIRECTORY, agentArguments, CACHE_FILES, DENO_ENVIRONMENT } from "./agent_command.ts";

/** The tables that name modules; each has a column `specifier`. */
const TABLES = {
  v8_code_cache_v2: "codecache",
  dep_analysis_cache_v2: "moduleinfocache",
  node_analysis_cache_v2: "cjsanalysiscache",
} satisfies Record<(typeof CACHE_FILES)[number], string>;

/** A module's name is in its code, so the directory goes by one name wherever it is: that of whoever stands in it. */
const HERE = "/proc/self/cwd";

/** Runs the loader as the guest does. With `--version` the agent is evaluated, says a line and ends. */
async function run(runtime: string, cwd: string): Promise<void> {
  const args = [...agentArguments({ cached: true, main: `${HERE}/main.js` }), "--version"];
  const env = { ...DENO_ENVIRONMENT, HOME: cwd, DENO_DIR: `${cwd}/cache` };
  const { success, stderr } = await new Deno.Command(runtime, { args, env, clearEnv: true, cwd }).output();
  if (!success) throw new Error(`Cannot compile the agent: ${new TextDecoder().decode(stderr)}`);
}

/**
 * Writes a database anew, with the name that the module has in the guest. It tells of no past: a Deno that ends at once
 * may or may not have come to its statistics, so they are taken again.
 */
function settle(path: string, { table, output }: { table: string; output: string }): void {
  using source = new DatabaseSync(path);
  source.prepare(`UPDATE ${table} SET specifier = replace(specifier, ?, ?)`)
    .run(`file://${HERE}/`, `file://${AGENT_DIRECTORY}/`);
  source.exec(
    "DROP TABLE IF EXISTS sqlite_stat1; DROP TABLE IF EXISTS sqlite_stat4; ANALYZE; PRAGMA schema_version = 1",
  );
  source.prepare("VACUUM INTO ?").run(output);
  using written = new DatabaseSync(output);
  written.exec("PRAGMA journal_mode = WAL"); // as Deno has it
}

export interface CompileOptions {
  /** The guest's Deno; it must run here. */
  runtime: string;
  /** The script that Deno is given: agent_loader.js. */
  loader: string;
  agent: string;
  /** A directory, for {@linkcode CACHE_FILES}. */
  output: string;
}

/** @throws {Error} The agent cannot even say its version; the message holds what it said. */
export async function compileAgent({ runtime, loader, agent, output }: CompileOptions): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "kata-code-" });
  try {
    await Deno.copyFile(loader, `${directory}/main.js`);
    // The loader's own code is written only once it waits for something, and the agent's --version does not wait.
    await Deno.writeTextFile(`${directory}/agent.js`, "");
    await run(runtime, directory);
    await Deno.copyFile(agent, `${directory}/agent.js`);
    await run(runtime, directory);
    await Deno.mkdir(output, { recursive: true });
    for (const name of CACHE_FILES) {
      settle(`${directory}/cache/${name}`, { table: TABLES[name], output: `${directory}/${name}` });
      await Deno.copyFile(`${directory}/${name}`, `${output}/${name}`);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) {
  const [runtime, loader, agent, output] = Deno.args as [string, string, string, string];
  await compileAgent({ runtime, loader, agent, output });
}
