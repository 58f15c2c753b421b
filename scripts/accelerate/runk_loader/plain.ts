/** runk as a file of its own without the loader: a module, as Deno runs any. @module */
import { main } from "../../../src/cli/runk/main.ts";

Deno.exit(await main(Deno.args));
