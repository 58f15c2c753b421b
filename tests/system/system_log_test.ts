/** The shim's log in the system log, which busybox' syslogd keeps here. Needs root, busybox and unshare. */
import assert from "node:assert/strict";
import { leftOutUnlessRoot } from "../../src/base/testing/left_out.ts";

const LOGS = new URL("../../src/shim/log/logs.ts", import.meta.url).href;
const MESSAGE = "shown in the system log";

/** A `/dev` of our own with a daemon's socket in it; then `$2...` runs, and ends before the daemon does. */
const WITH_SYSLOGD = `
  mkdir "$1/dev" && mount -t tmpfs dev "$1/dev"
  cp -a /dev/null /dev/zero /dev/random /dev/urandom "$1/dev"
  mount --bind "$1/dev" /dev
  busybox syslogd -n -O "$1/messages" &
  daemon=$!
  shift
  tries=0
  until [ -S /dev/log ] || [ $((tries += 1)) -gt 100 ]; do sleep 0.05; done
  "$@"
  status=$?
  kill "$daemon" && wait "$daemon"
  exit "$status"
`;

Deno.test({
  name: "B50: the system log gets the shim's records of level info, with identifier kata",
  ignore: leftOutUnlessRoot(import.meta),
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "kata-syslog-" });
    try {
      const script = `
        import { openShimLog } from "${LOGS}";
        using logs = openShimLog({ bundle: "/no/such/bundle", id: "s1", debug: false });
        logs.log.debug("hidden");
        logs.log.info("${MESSAGE}");
      `;
      const deno = [Deno.execPath(), "eval", "--no-check", script];
      const args = ["--mount", "sh", "-c", WITH_SYSLOGD, "sh", directory, ...deno];
      const { code, stderr } = await new Deno.Command("unshare", { args, stdin: "null", stdout: "null" }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const lines = (await Deno.readTextFile(`${directory}/messages`)).split("\n").filter((line) =>
        / kata\[/.test(line)
      );
      assert.equal(lines.length, 1, lines.join("\n"));
      const [, facility, record = ""] = /(\w+\.\w+) kata\[\d+\]: (\{.*\})$/.exec(lines[0]!) ?? [];
      assert.equal(facility, "user.info");
      const { msg, sandbox, level } = JSON.parse(record);
      assert.deepEqual({ msg, sandbox, level }, { msg: MESSAGE, sandbox: "s1", level: "INFO" });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
