/**
 * runk as a file of its own, beside `main.js`: it is started anew for each command, so it pays most for what it loads.
 * One short file with V8's flags for a program that ends soon (see `portable_head.ts`) halves what comes after Deno's own
 * start.
 *
 * @module
 */
import { main } from "../src/cli/runk/main.ts";

const status = await main(Deno.args);
const cache = `${Deno.env.get("DENO_DIR")}/v8_code_cache_v2`;
if (!isSettled(cache)) {
  // Deno puts compiled code into its cache in a turn of the event loop, and most commands wait for nothing: without a
  // turn each would be compiled anew, which takes longer than all that it does.
  await Deno.lstat("/");
  await settle(cache);
}
Deno.exit(status);

/** Whether the compiled code, which is larger by far than an empty database, is in the database itself. */
function isSettled(path: string): boolean {
  const EMPTY_BYTES = 64 << 10;
  return sizeOf(path) > EMPTY_BYTES && sizeOf(logOf(path)) === 0;
}

function logOf(path: string): string {
  return `${path}-wal`;
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

/**
 * Moves what Deno stored out of SQLite's log into the database itself. SQLite would do so when the database is closed,
 * which an exit does not do; a start that reads the code out of the log has 140 page faults more. It is done once, by the
 * first command that finds a log of its own user's, and loads SQLite only then.
 */
async function settle(path: string): Promise<void> {
  try {
    const log = Deno.statSync(logOf(path));
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
