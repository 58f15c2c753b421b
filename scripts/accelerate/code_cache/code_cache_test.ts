import assert from "node:assert/strict";
import { agentArguments, DENO_ENVIRONMENT } from "../../guest/agent_command.ts";
import { compileAgent } from "./code_cache.ts";

const LOADER = new URL("../agent_loader/loader.js", import.meta.url).pathname;

async function makeAgent(): Promise<
  AsyncDisposable & { directory: string; compile: (output: string) => Promise<void> }
> {
  const directory = await Deno.makeTempDir({ prefix: "kata-code-test-" });
  await Deno.writeTextFile(
    `${directory}/agent.js`,
    "(() => { function never() { return 1; } console.log('ran'); })();",
  );
  await Deno.copyFile(LOADER, `${directory}/main.js`);
  return {
    directory,
    compile: (output) =>
      compileAgent({ runtime: Deno.execPath(), loader: LOADER, agent: `${directory}/agent.js`, output }),
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

/** Output of Deno about its caches, while it runs the loader as the guest does. */
async function boot(directory: string, cache: string): Promise<string> {
  const [subcommand, ...rest] = agentArguments({ cached: true, main: `${directory}/main.js` });
  const main = rest.pop()!;
  const args = [subcommand!, "--log-level=debug", ...rest, main];
  const env = { ...DENO_ENVIRONMENT, HOME: directory, DENO_DIR: cache };
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env, clearEnv: true }).output();
  assert.ok(success);
  assert.equal(new TextDecoder().decode(stdout), "ran\n");
  return new TextDecoder().decode(stderr);
}

Deno.test("compileAgent() makes code that the guest's Deno takes", async () => {
  await using agent = await makeAgent();
  await agent.compile(`${agent.directory}/cache`);
  const said = await boot(agent.directory, `${agent.directory}/cache`);
  assert.match(said, /V8 code cache hit for script: file:\/\/\/usr\/lib\/kata\/agent\.js/);
  assert.doesNotMatch(said, /Updating V8 code cache for script/);
});

Deno.test("compileAgent()'s code is for this very script", async () => {
  await using agent = await makeAgent();
  await agent.compile(`${agent.directory}/cache`);
  await Deno.writeTextFile(`${agent.directory}/agent.js`, "console.log('ran');");
  assert.match(await boot(agent.directory, `${agent.directory}/cache`), /Updating V8 code cache for script/);
});

Deno.test("compileAgent() gives the same bytes for the same files", async () => {
  await using agent = await makeAgent();
  for (const name of ["a", "b"]) await agent.compile(`${agent.directory}/${name}`);
  for (const { name } of Deno.readDirSync(`${agent.directory}/a`)) {
    const [a, b] = ["a", "b"].map((output) => Deno.readFileSync(`${agent.directory}/${output}/${name}`));
    assert.deepEqual(a, b, name);
  }
});
