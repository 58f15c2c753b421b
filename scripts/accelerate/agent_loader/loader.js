// Evaluates the agent beside it; see agent_entry.ts for why it is not imported. Of Deno's ways to evaluate a script, this
// is the one that looks for compiled code, under the name given here; code_cache.ts puts it there.
const { core } = Deno[Deno.internal];
const source = Deno.readTextFileSync(`${import.meta.dirname}/agent.js`);
const [, failure] = core.evalContext(source, "file:///usr/lib/kata/agent.js");
if (failure !== null) throw failure.thrown;
