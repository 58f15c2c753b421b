/**
 * The guest's program: the agent. Bundled as a module of its own, or as one classic script by way of
 * `accelerate/timers/entry.ts`, which `accelerate/agent_loader/loader.js` evaluates.
 *
 * @module
 */
import { main } from "../../src/agent/main.ts";
import { errorChain } from "../../src/base/error.ts";

main(Deno.args).then(Deno.exit, (error) => {
  Deno.stderr.writeSync(new TextEncoder().encode(`kata-agent: ${errorChain(error)}\n`));
  Deno.exit(1);
});
