import assert from "node:assert/strict";
import { KataError } from "../base/error.ts";
import { createLogger } from "../base/log.ts";
import { openManagement } from "../shim_api/client.ts";
import { type ManagedSandbox, managementOf, manageSandbox } from "./management.ts";

const log = createLogger({ sink: () => {} });

/** A sandbox whose guest says `metrics`, and whose monitor is this process. */
function sandboxOf(metrics: () => Promise<string>, more: Partial<ManagedSandbox> = {}): ManagedSandbox {
  const agent = { machine: { metrics } };
  const vm = { agentAddress: () => "vsock://3:1024" };
  return {
    id: "s1",
    pid: Deno.pid,
    runDir: "/no/such",
    ended: new Promise(() => {}),
    machine: { vm, agent: Promise.resolve(agent) } as unknown as ManagedSandbox["machine"],
    ...more,
  };
}

Deno.test("managementOf() has the figures of shim, monitor and guest", async () => {
  const guest = '# HELP kata_guest_load Load\n# TYPE kata_guest_load gauge\nkata_guest_load{item="load1"} 0.5\n';
  const management = managementOf(sandboxOf(() => Promise.resolve(guest)));
  const text = await management.metrics();
  for (const prefix of ["kata_shim", "kata_hypervisor"]) {
    assert.match(text, new RegExp(`^${prefix}_threads [1-9]`, "m"));
    assert.match(text, new RegExp(`^${prefix}_fds [1-9]`, "m"));
    assert.match(text, new RegExp(`^${prefix}_proc_status\\{item="vmrss"\\} [1-9]`, "m"));
    assert.match(text, new RegExp(`^${prefix}_proc_stat\\{item="utime"\\} `, "m"));
    assert.match(text, new RegExp(`^${prefix}_io_stat\\{item="readbytes"\\} `, "m"));
  }
  assert.match(text, /^kata_hypervisor_netdev\{interface="lo",item="recv_bytes"\} /m);
  assert.ok(text.endsWith(guest), text);
  assert.equal(await management.agentUrl(), "vsock://3:1024");
});

Deno.test.each([
  { says: "kata_shim_threads 0\nkata_guest_load 1\nup 1\n", shows: /^kata_guest_load 1$/m },
  { says: 'kata_guest_x{a="b"\nkata_shim_threads 0\n', shows: /^# The guest's are missing: Cannot read "/m },
])("S1: a guest that says $says cannot speak for the host", async ({ says, shows }) => {
  const text = await managementOf(sandboxOf(() => Promise.resolve(says))).metrics();
  assert.match(text, shows);
  assert.doesNotMatch(text, /^(up|kata_shim_threads 0)/m);
  assert.match(text, /^kata_shim_threads [1-9]/m);
});

Deno.test("S1: a guest writes nothing into its metrics that a terminal obeys", async () => {
  const says = '# HELP kata_guest_x \x1b[8mhid\nkata_guest_x{interface="\x1b]52;c;b3du\x07\x9b2J\u202e"} 1\n';
  const text = await managementOf(sandboxOf(() => Promise.resolve(says))).metrics();
  assert.match(text, /^kata_guest_x\{interface="[^"]*52;c;b3du[^"]*"\} 1$/m);
  // deno-lint-ignore no-control-regex -- these are what it must not have
  assert.doesNotMatch(text, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/);
});

Deno.test("managementOf() tells in a comment that the guest does not answer, and has the rest", async () => {
  const failing = () => Promise.reject(new KataError("DEADLINE_EXCEEDED", "no answer\nfrom it"));
  const text = await managementOf(sandboxOf(failing, { pid: 0 })).metrics();
  assert.match(text, /\nkata_shim_fds [1-9][^]*\n# The guest's are missing: no answer from it\n$/);
  assert.doesNotMatch(text, /kata_hypervisor/, "there is no monitor yet");
});

Deno.test("manageSandbox() serves until the sandbox ends, and where it cannot, only logs it", async () => {
  const root = await Deno.makeTempDir();
  try {
    const runDir = `${root}/s1`;
    await Deno.mkdir(runDir);
    const { promise: ended, resolve: end } = Promise.withResolvers<string>();
    const serving = manageSandbox(sandboxOf(() => Promise.resolve(""), { runDir, ended }), { log });
    {
      using shim = openManagement("s", { root });
      assert.match(await shim.metrics(), /^kata_shim_threads/m);
      await assert.rejects(shim.iptables(), { code: "UNIMPLEMENTED" });
    }
    end("gone");
    await serving;
    await manageSandbox(sandboxOf(() => Promise.resolve("")), { log });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
