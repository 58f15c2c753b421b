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
const source = Deno.readTextFileSync(`${directory}/runk_program.js`);

evaluate();
const status = await globalThis.kataStatus;
if (status === 0 && !exists(`${cache}/learned-${use}`)) await learn();
Deno.exit(status);

function evaluate() {
  const [, failure] = core.evalContext(source, name);
  if (failure !== null) throw failure.thrown;
}

// The command, with the flags that let it run other functions. Arguments that only look like these do no harm.
function useOf(args) {
  const commands =
    /^(?:checkpoint|create|delete|events|exec|features|kill|list|pause|ps|restore|resume|run|spec|start|state|update)$/;
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
  return [args.find((word) => commands.test(word)) ?? "", ...[...letters].sort()].join("-");
}

function exists(path) {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

async function learn() {
  try {
    if (Deno.statSync(cache).uid !== Deno.uid()) return; // what another user's runk has learned has to do
    // Deno would load a module that a literal names before it runs this one.
    const sqlite = "node:sqlite";
    const { DatabaseSync } = await import(sqlite);
    using database = new DatabaseSync(`${cache}/v8_code_cache_v2`);
    database.prepare("DELETE FROM codecache WHERE specifier = ?").run(name);
    globalThis.kataLearns = true;
    evaluate();
    await Deno.lstat("/"); // in a turn of the event loop this module's own code is put into the cache
    await Deno.lstat("/");
    // SQLite would move what is in its log into the database when that is closed, which an exit does not do; a start that
    // reads the code out of the log has 140 page faults more.
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    Deno.writeTextFileSync(`${cache}/learned-${use}`, "", { mode: 0o644 });
  } catch {
    // Another command uses the database, or nobody may write to it: a later one learns, and all works without.
  }
}
