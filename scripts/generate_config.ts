/** Writes config/ from the rows in src/config/keys, and src/ASKED.md from the tables in src/resources/asked; with --check it changes nothing. Called by scripts/generate. @module */
import { documents } from "../src/config/reference/document.ts";
import { askedPage } from "../src/resources/asked/page.ts";

const root = new URL("../", import.meta.url);

for (const [path, text] of Object.entries({ ...documents(), "src/ASKED.md": askedPage() })) {
  const file = new URL(path, root);
  if (Deno.args[0] !== "--check") Deno.writeTextFileSync(file, text);
  else if (Deno.readTextFileSync(file) !== text) fail(path);
}

function fail(path: string): never {
  // deno-lint-ignore no-console -- for whoever runs the script
  console.error(`generate: ${path} is not what src/config/keys or src/resources/asked says: run scripts/generate`);
  Deno.exit(1);
}
