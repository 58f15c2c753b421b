/**
 * runk as a file of its own, beside `main.js`: it is started anew for each command, so it pays most for what it loads. It
 * is bundled as one short classic script, which `loader.js` evaluates.
 *
 * @module
 */
import { main } from "../../../src/cli/runk/main.ts";

/** Where the loader finds what becomes of the command: its exit status. */
declare global {
  var kataStatus: Promise<number>;
}

globalThis.kataStatus = main(Deno.args);
