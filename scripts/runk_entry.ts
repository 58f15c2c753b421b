/**
 * runk as a file of its own, beside `main.js`: it is started anew for each command, so it pays most for what it loads.
 * One short file with V8's flags for a program that ends soon (see `portable_head.sh`) halves what comes after Deno's own
 * start.
 *
 * @module
 */
import { main } from "../src/cli/runk/main.ts";

const status = await main(Deno.args);
// Deno puts compiled code into its cache in a turn of the event loop, and most commands wait for nothing: without a turn
// each would be compiled anew, which takes longer than all that it does.
await Deno.lstat("/");
Deno.exit(status);
