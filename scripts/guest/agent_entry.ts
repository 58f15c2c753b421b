/**
 * The guest's program: the agent, bundled as one classic script that `accelerate/agent_loader/loader.js` evaluates. As
 * an ES module it would first be parsed by Deno itself to find its imports, and under software emulation that takes longer
 * than running it.
 *
 * @module
 */
import { main } from "../../src/agent/main.ts";
import { errorChain } from "../../src/base/error.ts";
import { installTimers } from "../accelerate/timers/timers.ts";

installTimers();

main(Deno.args).then(Deno.exit, (error) => {
  Deno.stderr.writeSync(new TextEncoder().encode(`kata-agent: ${errorChain(error)}\n`));
  Deno.exit(1);
});
