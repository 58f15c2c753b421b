/** Many pods at once, and the same over and over: nothing hangs, nothing grows. See `pod.ts`. */
import assert from "node:assert/strict";
import { MEASURED_SHIM, podRounds } from "../../scripts/soak_rounds.ts";

import { pods, SLEEP } from "./pod.ts";
import { until } from "../support/wait.ts";

const MANY = 10;
const TIMES = 2;
/** So many machines are emulated by so few processors. */
const BOOT_MS = 180_000;
/** `scripts/soak` lives through more. */
const ROUNDS = 40;

pods(`${MANY} pods start at once and are removed at once, ${TIMES} times`, async (node) => {
  const names = Array.from({ length: MANY }, (_, at) => `pod${at}`);
  for (let time = 0; time < TIMES; time++) {
    const all = await settled(names.map((name) => node.pod(name)));
    const containers = await settled(all.map((pod) => pod.run("one", SLEEP)));
    const answers = await settled(containers.map((container) => container.exec("hostname")));
    assert.deepEqual(answers, names.map((name) => `${name}\n`));
    await settled(all.map((pod) => pod[Symbol.asyncDispose]()));
    await until(async () => (await node.remains()).length === 0);
  }
}, { configure: (toml) => `${toml}[agent.kata]\nreconnect_timeout_ms = ${BOOT_MS}\n` });

/** As Promise.all, but when one fails the others are not left under way. */
async function settled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

pods(`${ROUNDS} rounds of create, exec, copy and delete of a pod's second container leave nothing`, async (node) => {
  assert.deepEqual((await podRounds(node, { rounds: ROUNDS })).growth(), []);
}, { env: MEASURED_SHIM });
