import assert from "node:assert/strict";
import { entries } from "./describe.ts";
import { HYPERVISORS } from "../tables.ts";
import { explain } from "./explain.ts";

const MEMORY = `hypervisor.qemu.default_memory
  Memory at the boot; no kernel boots with less than 64.
  Type: integer. In MiB, at least 0.
  Default: 2048
  Annotation: io.katacontainers.config.hypervisor.default_memory, if enable_annotations lists it
  Hypervisors: ${Object.keys(HYPERVISORS).join(", ")}
  Rule: It is at least 64 MiB.
  Rule: The memory at the boot is no more than the most, nor than the host has. It concerns default_maxmemory too.
`;

Deno.test.each([
  "default_memory",
  "hypervisor.qemu.default_memory",
  "hypervisor.default_memory",
  "io.katacontainers.config.hypervisor.default_memory",
])("explain() tells all of a key by %s", (name) => {
  assert.ok(explain(name).includes(MEMORY));
});

Deno.test.each(["seccompsandbox", "hypervisor.qemu.seccompsandbox"])("explain() takes the older name %s", (name) => {
  assert.match(
    explain(name),
    /^hypervisor\.qemu\.seccomp_sandbox\n[^]* {2}Older names: hypervisor\.qemu\.seccompsandbox\n$/,
  );
});

Deno.test("explain() tells of each key of a name, and of each key there is", () => {
  assert.match(explain("log_level"), /^agent\.kata\.log_level\n[^]*\n\nruntime\.log_level\n/);
  for (const { table, name, key } of entries()) {
    const text = explain(`${table.path}.${name}`);
    assert.ok(text.startsWith(`${table.path}.${name}\n  ${key.doc}\n  Type: `), text);
  }
});

Deno.test.each([
  { name: "shared_fs", says: 'Not supported yet, hence refused: "none", "virtio-fs-nydus".' },
  { name: "keep_abnormal", says: "Not supported yet: it has no effect, as a warning in the log says." },
])("explain() says what of $name is not there yet", ({ name, says }) => {
  assert.ok(explain(name).includes(`  Status: ${says}\n`));
});

Deno.test.each([
  { name: "defualt_memory", says: "nearest is default_memory" },
  { name: "agent.log_level", says: "nearest is agent.kata.log_level" },
  { name: "frobnicate", says: "config/README.md lists all" },
])("explain() refuses $name and says where to go", ({ name, says }) => {
  assert.throws(() => explain(name), { code: "NOT_FOUND", message: `Cannot explain "${name}": no such key, ${says}` });
});
