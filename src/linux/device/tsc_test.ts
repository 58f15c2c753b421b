import assert from "node:assert/strict";
import { TscMeasurement } from "./tsc.ts";
import { leftOut } from "../../base/testing/left_out.ts";

Deno.test({
  name: "TscMeasurement.frequency() is the same each time, to a tenth of a percent",
  ignore: leftOut(import.meta, Deno.build.arch !== "x86_64" && "the counter is one of x86-64"),
  async fn() {
    const long = new TscMeasurement();
    const short = [0, 1, 2].map(() => new TscMeasurement());
    await new Promise((resolve) => setTimeout(resolve, 50));
    const measured = short.map((each) => each.frequency());
    await new Promise((resolve) => setTimeout(resolve, 200));
    const best = long.frequency();
    assert.ok(best > 500_000 && best < 10_000_000, `${best} kHz`);
    for (const each of measured) assert.ok(Math.abs(each / best - 1) < 1e-3, `${each} kHz, ${best} kHz`);
    assert.ok(long.lastsMs >= 250);
  },
});
