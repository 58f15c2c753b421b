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
import { AGENT_DIRECTORY, agentArguments, CACHE_FILES, DENO_ENVIRONMENT } from "../../guest/agent_command.ts";

/** The tables that name modules; each has a column `specifier`. */
const TABLES = {
  v8_code_cache_v2: "codecache",
  dep_analysis_cache_v2: "moduleinfocache",
  node_analysis_cache_v2: "cjsanalysiscache",
} satisfies Record<(typeof CACHE_FILES)[number], string>;

/** A module's name is in its code, so the directory goes by one name wherever it is: that of whoever stands in it. */
const HERE = "/proc/self/cwd";

/** A Deno that ends at once may leave something unwritten, the more so on a busy machine. */
const MAX_RUNS = 10;

/**
 * Runs the loader as the guest does. With `--version` the agent is evaluated, says a line and ends.
 *
 * @returns Whether Deno found all in its caches.
 */
async function run(runtime: string, cwd: string): Promise<boolean> {
  const [subcommand = "", ...rest] = agentArguments({ cached: true, main: `${HERE}/main.js` });
  const args = [subcommand, "--log-level=debug", ...rest, "--version"];
  const env = { ...DENO_ENVIRONMENT, HOME: cwd, DENO_DIR: `${cwd}/cache` };
  const { success, stderr } = await new Deno.Command(runtime, { args, env, clearEnv: true, cwd }).output();
  const said = new TextDecoder().decode(stderr);
  if (!success) throw new Error(`Cannot compile the agent: ${said}`);
  const hits = said.match(/V8 code cache hit for /g)?.length ?? 0;
  return hits === 2 && CACHE_FILES.every((name) => hasTable(`${cwd}/cache/${name}`, TABLES[name]));
}

function hasTable(path: string, table: string): boolean {
  using database = new DatabaseSync(path);
  return database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").get(table) !== undefined;
}

/**
 * Writes a database anew, row by row, with the name that the module has in the guest. Its pages tell of no past: how far
 * a Deno came with its statistics before it ended, and in which order, is chance.
 */
function settle(path: string, { table, output }: { table: string; output: string }): void {
  using written = new DatabaseSync(output);
  written.prepare("ATTACH ? AS past").run(path);
  const schema = written.prepare(
    "SELECT type, name, sql FROM past.sqlite_master WHERE sql NOTNULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name",
  ).all();
  for (const { type, name, sql } of schema) {
    written.exec(String(sql));
    if (type === "table") written.exec(`INSERT INTO main.${name} SELECT * FROM past.${name} ORDER BY 1`);
  }
  written.prepare(`UPDATE main.${table} SET specifier = replace(specifier, ?, ?)`)
    .run(`file://${HERE}/`, `file://${AGENT_DIRECTORY}/`);
  written.exec("DETACH past; ANALYZE; PRAGMA journal_mode = WAL"); // the mode that Deno has them in
}

export interface CompileOptions {
  /** The guest's Deno; it must run here. */
  runtime: string;
  /** The script that Deno is given: agent_loader/loader.js. */
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
    for (let runs = 1; !await run(runtime, directory); runs++) {
      if (runs === MAX_RUNS) throw new Error(`Cannot compile the agent: Deno kept no code of it in ${MAX_RUNS} runs`);
    }
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
