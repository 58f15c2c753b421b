import assert from "node:assert/strict";
import { Fd, O_NONBLOCK, O_RDONLY } from "../../linux/io/fd.ts";
import { formatSyslog, openShimLog } from "./logs.ts";

const NO_SYSTEM_LOG = { systemLogs: [{ path: "/no/such/log", format: () => "" }] };

async function makeBundle(): Promise<{ path: string } & Disposable> {
  const path = Deno.makeTempDirSync();
  await new Deno.Command("mkfifo", { args: [`${path}/log`] }).output();
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

function readText(fd: Fd): string {
  const buffer = new Uint8Array(4096);
  return new TextDecoder().decode(buffer.subarray(0, fd.read(buffer)));
}

Deno.test("openShimLog() writes records of level info to containerd's fifo (B50)", async () => {
  using bundle = await makeBundle();
  using reader = Fd.open(`${bundle.path}/log`, O_RDONLY | O_NONBLOCK);
  using logs = openShimLog({ bundle: bundle.path, id: "s1", debug: false, ...NO_SYSTEM_LOG });
  logs.log.debug("hidden");
  logs.at("error").info("hidden");
  logs.log.info("shown", { a: 1 });
  const record = JSON.parse(readText(reader));
  assert.equal(record.msg, "shown");
  assert.equal(record.level, "INFO");
  assert.equal(record.sandbox, "s1");
});

Deno.test("openShimLog() neither waits for a reader nor for room in the fifo", async () => {
  using bundle = await makeBundle();
  using logs = openShimLog({ bundle: bundle.path, id: "s1", debug: true, ...NO_SYSTEM_LOG });
  for (let i = 0; i < 2000; i++) logs.log.debug("x".repeat(100));
});

Deno.test("openShimLog() is silent where there is no log at all", () => {
  using logs = openShimLog({ bundle: "/no/such/bundle", id: "s1", debug: true, ...NO_SYSTEM_LOG });
  logs.log.info("nobody hears");
});

Deno.test("formatSyslog() is a record of the C library, with identifier kata (B50)", () => {
  const line = formatSyslog("hello", "warning", new Date(2026, 7, 3, 4, 5, 6));
  assert.equal(line, `<12>Aug  3 04:05:06 kata[${Deno.pid}]: hello`);
});
