// Evaluates runk's program (entry.ts), as dist/program/runk.js. Of Deno's ways to evaluate a script, this is the one that
// keeps its compiled code under a name that is given here: one for each use of runk, so that V8 loads the functions that
// this use runs, which are half of the program, and not the others.
//
// Deno keeps what is compiled before the script runs: nearly nothing. So the first use that succeeds has it compiled
// again when the command is over: the same script under the same name is the same to V8, with all functions that were
// compiled meanwhile. It does not run again, as the bundle begins with a look at `kataLearns` (see scripts/build).
const { core } = Deno[Deno.internal];
const directory = import.meta.dirname;
const cache = Deno.env.get("DENO_DIR");
const use = useOf(Deno.args);
const name = `file://${directory}/runk/${use}`;
const DATABASES = ["v8_code_cache_v2", "dep_analysis_cache_v2", "node_analysis_cache_v2"];
const source = Deno.readTextFileSync(`${directory}/runk_program.js`);

evaluate();
const status = await globalThis.kataStatus;
if (status === 0) {
  const isLearned = sizeOf(`${cache}/learned-${use}`) !== undefined;
  if (!isLearned || sizeOf(`${cache}/${DATABASES[0]}-wal`) > 0) await settle(isLearned);
}
Deno.exit(status);

function evaluate() {
  const [, failure] = core.evalContext(source, name);
  if (failure !== null) throw failure.thrown;
}

// The command, with the flags that let it run other functions. Arguments that only look like these do no harm.
function useOf(args) {
  // A list of words: a pattern would be compiled by each start.
  const commands = ("checkpoint create delete events exec features kill list pause ps restore resume run spec start " +
    "state update").split(" ");
  const flags = {
    "-d": "d",
    "--detach": "d",
    "-t": "t",
    "--tty": "t",
    "-h": "h",
    "--help": "h",
    "--systemd-cgroup": "s",
  };
  const letters = new Set(args.flatMap((word) => flags[word] ?? []));
  return [args.find((word) => commands.includes(word)) ?? "", ...[...letters].sort()].join("-");
}

function sizeOf(path) {
  try {
    return Deno.lstatSync(path).size;
  } catch {
    return undefined;
  }
}

// Learns this use, if it is new, and leaves the logs of Deno's databases empty: whoever starts reads all that is in them,
// which is up to 0.7 ms of each start. A use that is known writes there once in a while, as when it first has to wait.
async function settle(isLearned) {
  try {
    if (Deno.statSync(cache).uid !== Deno.uid()) return; // what another user's runk has learned has to do
    // Deno would load a module that a literal names before it runs this one.
    const sqlite = "node:sqlite";
    const { DatabaseSync } = await import(sqlite);
    if (!isLearned) await learn(DatabaseSync);
    // SQLite would move what is in its log into the database when that is closed, which an exit does not do.
    for (const file of DATABASES) {
      using database = new DatabaseSync(`${cache}/${file}`);
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    Deno.writeTextFileSync(`${cache}/learned-${use}`, "", { mode: 0o644 });
  } catch {
    // Another command uses the database, or nobody may write to it: a later one learns, and all works without.
  }
}

async function learn(DatabaseSync) {
  using database = new DatabaseSync(`${cache}/${DATABASES[0]}`);
  database.prepare("DELETE FROM codecache WHERE specifier = ?").run(name);
  globalThis.kataLearns = true;
  evaluate();
  await Deno.lstat("/"); // in a turn of the event loop this module's own code is put into the cache
  await Deno.lstat("/");
}
