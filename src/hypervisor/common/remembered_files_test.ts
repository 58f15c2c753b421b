import assert from "node:assert/strict";
import { createLogger } from "../../base/log.ts";
import { hardLimit, warnOfFewFiles } from "./remembered_files.ts";

const TABLE = "Limit                     Soft Limit           Hard Limit           Units     \n" +
  "Max processes             30000                30000                processes \n";

Deno.test.each([
  { line: "Max open files            1024                 20000                files     ", limit: 20_000 },
  { line: "Max open files            1024                 unlimited            files     ", limit: Infinity },
  { line: "", limit: Infinity },
])("hardLimit() of '$line' is $limit", ({ line, limit }) => assert.equal(hardLimit(`${TABLE}${line}\n`), limit));

Deno.test("pods A16: warnOfFewFiles() names a limit that a guest's look at many files would meet", () => {
  const lines: string[] = [];
  const log = createLogger({ sink: (line, level) => void lines.push(`${level} ${line}`) });
  warnOfFewFiles(log, 1_000_000);
  assert.deepEqual(lines, []);
  warnOfFewFiles(log, 20_000);
  assert.match(lines.join(), /^warning .*LimitNOFILE.*"limit":20000/);
});
