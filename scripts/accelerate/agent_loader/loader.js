// Evaluates the agent beside it, a classic script: a module would first be parsed by Deno itself to find its imports, and
// under software emulation that takes longer than running it. Of Deno's ways to evaluate a script, this is the one that
// looks for compiled code, under the name given here; code_cache.ts puts it there.
const { core } = Deno[Deno.internal];
const source = Deno.readTextFileSync(`${import.meta.dirname}/agent.js`);
const [, failure] = core.evalContext(source, "file:///usr/lib/kata/agent.js");
if (failure !== null) throw failure.thrown;
