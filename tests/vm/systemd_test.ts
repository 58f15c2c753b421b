/**
 * runk on a machine with a real systemd and cgroups v2 alone, in a VM made by `scripts/systemd-image`, beside runc and crun,
 * which show that the tests are right. Of the black-box suite it runs what depends on cgroups: under software emulation
 * all of it would take the better part of an hour.
 *
 * @module
 */
import assert from "node:assert/strict";
import { bringBundle, bringRunk, runMachine } from "./systemd_machine.ts";
import { LEFT_OUT_FILE, leftOut, readLeftOut } from "../../src/base/testing/left_out.ts";

const RUNTIMES = ["runc", "crun", "runk"];
const FILES = ["tests/vm/systemd_guest.ts", "tests/oci/cgroup_test.ts", "tests/vm/clock_guest.ts"];

function bundleOf(file: string): string {
  return file.replaceAll("/", "-").replace(/\.ts$/, ".js");
}

/** Script that the service in the root image runs. */
function script(): string {
  const call = (runtime: string) => {
    const path = runtime === "runk" ? "/suite/bin/runk" : runtime;
    const test = `./deno test -A --no-check --no-lock --reporter=tap ${FILES.map(bundleOf).join(" ")} 2>&1`;
    return `echo "# runtime ${runtime}"\nRUNTIME=${path} ${LEFT_OUT_FILE}=/dev/stderr ${test}`;
  };
  return [
    "grep -q ^cgroup2 /proc/mounts && ! grep -q ^cgroup\\  /proc/mounts && echo '# pure v2'",
    ...RUNTIMES.map(call),
    "echo '# finished'",
  ].join("\n");
}

/** The tests themselves, and the engine. */
async function bring(tree: string): Promise<void> {
  for (const file of FILES) await bringBundle(file, `${tree}/${bundleOf(file)}`);
  await bringRunk(tree);
}

interface Outcome {
  name: string;
  /** Left out for this runtime, whose lack `tests/oci/suite.ts` names. */
  isSkipped: boolean;
  isOk: boolean;
  /** Lines after it if it failed. */
  details: string;
}

/** Reads TAP: see https://testanything.org/tap-version-14-specification.html */
function outcomes(report: string): Outcome[] {
  return [...report.matchAll(/^(not )?ok \d+ - (.*)\n((?: .*\n)*)/gm)].map(([, not, text = "", details = ""]) => {
    const name = text.replace(/ # SKIP.*/, "");
    return { name, isSkipped: name !== text, isOk: not === undefined, details };
  });
}

Deno.test({
  name: "a machine with systemd and cgroups v2 alone: runk does what runc and crun do there",
  ignore: leftOut(import.meta, Deno.build.arch !== "x86_64" && "the machine is a PC"),
  async fn(t) {
    const text = await runMachine({ script: script(), bring });
    assert.match(text, /^# pure v2$/m, text.slice(-4000));
    const reports = text.split(/^# runtime /m).slice(1);
    assert.deepEqual(reports.map((report) => report.split("\n", 1)[0]), RUNTIMES, text.slice(-4000));
    assert.match(text, /^# finished$/m, text.slice(-4000));
    for (const report of reports) {
      const found = outcomes(report);
      const runtime = report.split("\n", 1)[0];
      assert.ok(found.length >= 13, `${runtime} ran ${found.length} tests: ${report}`);
      const told = new Map(readLeftOut(report).map(({ of, why }) => [of, why]));
      for (const { name, isSkipped, isOk, details } of found) {
        const step = `${runtime}: ${name}`;
        await t.step({
          name: step,
          ignore: leftOut({ name: `${t.name} > ${step}` }, isSkipped && told.get(name)),
          fn: () => assert.ok(isOk && !isSkipped, details),
        });
      }
    }
  },
});
