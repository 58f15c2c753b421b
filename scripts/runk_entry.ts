/**
 * runk as a file of its own, beside `main.js`: it is started anew for each command, so it pays most for what it loads.
 * One short file with V8's flags for a program that ends soon (see `portable_head.ts`) halves what comes after Deno's own
 * start.
 *
 * @module
 */
import { main } from "../src/cli/runk/main.ts";

const status = await main(Deno.args);
// Deno puts compiled code into its cache in a turn of the event loop, and most commands wait for nothing: without a turn
// each would be compiled anew, which takes longer than all that it does.
await Deno.lstat("/");
await settleCodeCache(Deno.env.get("DENO_DIR"));
Deno.exit(status);

/**
 * Moves what Deno stored out of SQLite's log into the database itself. SQLite would do so when the database is closed,
 * which an exit does not do; a start that reads the code out of the log has 140 page faults more. It is done once, by the
 * first command that finds a log of its own user's, and loads SQLite only then.
 */
async function settleCodeCache(directory: string | undefined): Promise<void> {
  const path = `${directory}/v8_code_cache_v2`;
  try {
    const log = Deno.statSync(`${path}-wal`);
    if (log.size === 0 || log.uid !== Deno.uid()) return;
    // Deno would load a module that a literal names before it runs this one.
    const name = "node:sqlite";
    const { DatabaseSync }: typeof import("node:sqlite") = await import(name);
    using database = new DatabaseSync(path);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // Another command uses it, or there is none: a later one settles it, and all works without.
  }
}
