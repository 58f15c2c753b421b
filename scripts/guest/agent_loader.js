// Evaluates the agent beside it; see agent_entry.ts for why it is not imported.
(0, eval)(Deno.readTextFileSync(`${import.meta.dirname}/agent.js`));
