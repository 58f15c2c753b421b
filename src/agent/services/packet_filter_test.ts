import assert from "node:assert/strict";
import type { HandlerContext } from "@connectrpc/connect";
import { packetFilterMethods } from "./packet_filter.ts";

const context = { signal: new AbortController().signal } as HandlerContext;

/** A guest whose iptables say what they are asked. */
async function withTools(scripts: Record<string, string>, use: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "kata-iptables-" });
  try {
    for (const [name, script] of Object.entries(scripts)) {
      Deno.writeTextFileSync(`${directory}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    await use(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function text(data: Uint8Array | undefined): string {
  return new TextDecoder().decode(data);
}

Deno.test("wire W7: getIPTables() and setIPTables() are iptables-save and -restore, of either family", async () => {
  const restore = 'echo "$@"; cat';
  const scripts = {
    "iptables-save": "echo '*filter'",
    "ip6tables-save": "echo six",
    "iptables-restore": restore,
    "ip6tables-restore": restore,
  };
  await withTools(scripts, async (directory) => {
    const { getIPTables, setIPTables } = packetFilterMethods({ directories: ["/none", directory] });
    assert.equal(text((await getIPTables!({ isIpv6: false } as never, context)).data), "*filter\n");
    assert.equal(text((await getIPTables!({ isIpv6: true } as never, context)).data), "six\n");
    // More than a pipe holds.
    const data = new TextEncoder().encode("-A INPUT\n".repeat(20_000));
    for (const isIpv6 of [false, true]) {
      const { data: said } = await setIPTables!({ isIpv6, data } as never, context);
      assert.equal(text(said), `--wait 5\n${text(data)}`);
    }
  });
});

Deno.test("wire W7: setIPTables() says what the program did not like, and getIPTables() that there is none", async () => {
  await withTools({ "iptables-restore": "echo 'line 2 failed' >&2; exit 2" }, async (directory) => {
    const { getIPTables, setIPTables } = packetFilterMethods({ directories: [directory] });
    const set = async () => await setIPTables!({ isIpv6: false, data: new Uint8Array([10]) } as never, context);
    await assert.rejects(set, { code: "INVALID_ARGUMENT", message: /iptables-restore ended with 2: line 2 failed$/ });
    const get = async () => await getIPTables!({ isIpv6: true } as never, context);
    await assert.rejects(get, { code: "FAILED_PRECONDITION", message: /the guest's image has no ip6tables-save in/ });
  });
});
