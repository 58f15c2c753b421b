import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { createLogger } from "../base/log.ts";
import { OptionsSchema } from "../proto/runtime_options_pb.ts";
import { readSettings } from "./settings.ts";

const log = createLogger({ sink: () => {} });
const logs = { log, at: () => log };

/** A file that a pod got onto the host, with a program of its own; like those of a ConfigMap, it is root's. */
class Planted implements Disposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "kata-planted-" });
  readonly path = `${this.directory}/configuration.toml`;

  constructor() {
    const tool = `${this.directory}/tool`;
    Deno.writeTextFileSync(tool, "#!/bin/sh\n", { mode: 0o755 });
    const files = `path = "${tool}"\nkernel = "/etc/passwd"\ninitrd = "/etc/passwd"\nvirtio_fs_daemon = "${tool}"\n`;
    Deno.writeTextFileSync(this.path, `[hypervisor.qemu]\n${files}enable_annotations = [".*"]\n`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.directory, { recursive: true });
  }
}

function settingsOf(annotations: Record<string, string>, configPath?: string) {
  const value = toBinary(OptionsSchema, create(OptionsSchema, { configPath: configPath ?? "" }));
  const options = { $typeName: "google.protobuf.Any", typeUrl: "runtimeoptions.v1.Options", value } as const;
  return readSettings({ ociVersion: "1.2.0", annotations }, { options: configPath ? options : undefined, logs });
}

Deno.test("F3: readSettings() takes no program from a file that an annotation names outside the administrator's places", () => {
  using planted = new Planted();
  for (const path of [planted.path, "/etc/shadow", "/no/such.toml"]) {
    assert.throws(() => settingsOf({ "io.katacontainers.config_path": path }), {
      code: "PERMISSION_DENIED",
      message: new RegExp(`^Cannot use annotation io.katacontainers.config_path "${path}": a pod chooses among .*$`),
    });
  }
});

Deno.test("F3: readSettings() takes what containerd's own configuration names, unless others can change it", () => {
  using planted = new Planted();
  assert.equal(settingsOf({}, planted.path).config.hypervisor.path, `${planted.directory}/tool`);
  Deno.chmodSync(planted.directory, 0o777);
  assert.throws(() => settingsOf({}, planted.path), {
    code: "PERMISSION_DENIED",
    message: new RegExp(`"${planted.directory}"; it and each directory above it must be root's`),
  });
  assert.throws(() => settingsOf({}, `${planted.path}.none`), { code: "PERMISSION_DENIED" });
  Deno.chmodSync(planted.directory, 0o755);
  assert.throws(() => settingsOf({}, `${planted.path}.none`), { code: "NOT_FOUND" });
});

Deno.test("F3: no annotation sets a key of the configuration that holds a path", () => {
  using planted = new Planted();
  const { config } = settingsOf({}, planted.path);
  const paths = Object.entries(config.hypervisor).filter(([, value]) => String(value).startsWith("/"));
  const keys = [
    ...paths.map(([key]) => key),
    ..."file_mem_backend firmware firmware_volume image jailer_path ctlpath vhost_user_store_path".split(" "),
  ];
  assert.ok(keys.includes("path") && keys.includes("entropy_source"), `${keys}`);
  for (const key of keys) {
    const annotations = { [`io.katacontainers.config.hypervisor.${key}`]: "/planted" };
    // Also where `enable_annotations` allows all.
    assert.throws(() => settingsOf(annotations, planted.path), { message: new RegExp(`hypervisor.${key}": `) }, key);
  }
});
