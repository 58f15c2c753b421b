import assert from "node:assert/strict";
import { loadConfig } from "./load.ts";
import { DEFAULT_PATHS, openConfig, type Places, POD_DIRECTORIES } from "./places.ts";
import { filesOf } from "./testing/temporary_files.ts";
import { leftOutUnlessRoot } from "../base/testing/left_out.ts";

/** The path of the configuration that these places give. */
function found(places: Places): string {
  using file = openConfig(places);
  return file.path;
}

Deno.test("B51: openConfig() takes annotation, command line, options, KATA_CONF_FILE and default paths in this order", () => {
  using files = filesOf({ "a.toml": "", "c.toml": "", "o.toml": "", "e.toml": "", "d.toml": "" });
  const places: Places = {
    defaultPaths: [files.path("none.toml"), files.path("d.toml")],
    env: (name) => name === "KATA_CONF_FILE" ? files.path("e.toml") : "",
    optionsPath: files.path("o.toml"),
    commandLine: files.path("c.toml"),
    annotation: files.path("a.toml"),
    podDirectories: [files.path("").slice(0, -1)],
  };
  for (const place of ["annotation", "commandLine", "optionsPath", "env", "defaultPaths"] as const) {
    assert.equal(found(places), files.path(`${place[0]}.toml`));
    delete places[place];
  }
  assert.deepEqual(DEFAULT_PATHS, [
    "/etc/kata-containers/configuration.toml",
    "/usr/share/defaults/kata-containers/configuration.toml",
  ]);
});

Deno.test("openConfig() takes an empty name for none, and a command line's name from the working directory", () => {
  using files = filesOf({ "d.toml": "" });
  const defaultPaths = [files.path("d.toml")];
  assert.equal(
    found({ annotation: "", commandLine: "", optionsPath: "", env: () => "", defaultPaths }),
    defaultPaths[0],
  );
  assert.throws(() => openConfig({ commandLine: "none.toml" }), {
    message: `Cannot find a configuration file: "${Deno.cwd()}/none.toml" does not exist`,
  });
  assert.throws(() => openConfig({ env: () => "c.toml" }), {
    code: "INVALID_ARGUMENT",
    message: 'Cannot read configuration "c.toml": Cannot open "c.toml": the path must be absolute',
  });
});

Deno.test("B46: openConfig() lists where it looked when nothing exists", () => {
  assert.throws(() => openConfig({ defaultPaths: ["/no/a.toml", "/no/b.toml"] }), {
    code: "NOT_FOUND",
    message: "Cannot find a configuration file: none of /no/a.toml, /no/b.toml exists",
  });
});

Deno.test.each([{ place: "commandLine" }, { place: "optionsPath" }, { place: "env" }])(
  "F3: openConfig() takes no other configuration for one that $place names and that does not exist",
  ({ place }) => {
    using files = filesOf({ "d.toml": "" });
    const name = files.path("none.toml");
    const places = { [place]: place === "env" ? () => name : name, defaultPaths: [files.path("d.toml")] };
    assert.throws(() => openConfig(places), {
      code: "NOT_FOUND",
      message: `Cannot find a configuration file: "${name}" does not exist`,
    });
  },
);

const CHOICE = "a pod chooses among the *.toml files in and below " + POD_DIRECTORIES.join(", ");

Deno.test("F3: openConfig() names the file and the list where a pod's configuration does not exist", () => {
  using files = filesOf({ "d.toml": "" });
  const annotation = "/etc/kata-containers/no-such-configuration.toml";
  assert.throws(() => openConfig({ annotation, defaultPaths: [files.path("d.toml")] }), {
    code: "NOT_FOUND",
    message: "Cannot find a configuration file: " +
      `annotation io.katacontainers.config_path "${annotation}" does not exist; ${CHOICE}`,
  });
});

Deno.test("F3: openConfig() answers a pod alike for any file elsewhere, whether or not it exists, is TOML or a link", () => {
  using files = filesOf({
    "pods/c.toml": "",
    "pods.toml": "",
    "podsx/c.toml": "",
    "secret": "root:x",
    "tool.toml": "[hypervisor.qemu]\npath='/evil'",
  });
  const podDirectories = [files.path("pods")];
  Deno.symlinkSync("../tool.toml", files.path("pods/link.toml"));
  Deno.symlinkSync("..", files.path("pods/up"));
  Deno.writeTextFileSync(files.path("pods/secret"), "a = = b");
  const elsewhere = [
    "/etc/shadow",
    "/no/such",
    "/no/such.toml",
    "/dev/zero",
    "/proc/self/environ",
    "relative.toml",
    "secret",
    "tool.toml",
    "pods.toml",
    "podsx/c.toml",
    "pods",
    "pods/secret",
    "pods/link.toml",
    "pods/up/tool.toml",
    "pods/../tool.toml",
    "pods/up/../tool.toml",
    "pods/./../tool.toml",
    "pods/../pods/c.toml",
  ].map((name) => name.startsWith("/") || name === "relative.toml" ? name : files.path(name));
  for (const annotation of elsewhere) {
    assert.throws(() => loadConfig({ annotation, podDirectories, defaultPaths: [files.path("pods/c.toml")] }), {
      code: "PERMISSION_DENIED",
      message: `Cannot use annotation io.katacontainers.config_path "${annotation}": ` +
        `a pod chooses among the *.toml files in and below ${podDirectories[0]}`,
    });
  }
  assert.equal(found({ annotation: files.path("pods/c.toml"), podDirectories }), files.path("pods/c.toml"));
  assert.equal(found({ annotation: files.path("pods/./c.toml"), podDirectories }), files.path("pods/c.toml"));
});

const RULE = "it and each directory above it must be root's, and nobody else may write to them";

Deno.test("F3: loadConfig() refuses a file, a drop-in and a directory that others can change, and quotes none of it", () => {
  using files = filesOf({ "c.toml": "secret = = x", "config.d/x.toml": "secret = = x" });
  for (const open of ["c.toml", "config.d/x.toml", "config.d"]) {
    Deno.writeTextFileSync(files.path("c.toml"), open === "c.toml" ? "secret = = x" : "");
    const mode = Deno.statSync(files.path(open)).mode! & 0o777;
    Deno.chmodSync(files.path(open), mode | 0o002);
    assert.throws(() => loadConfig({ optionsPath: files.path("c.toml") }), {
      code: "PERMISSION_DENIED",
      message: `Cannot use configuration "${files.path(open)}": ` +
        `others than its owner may write to "${files.path(open)}"; ${RULE}`,
    });
    Deno.chmodSync(files.path(open), mode);
  }
});

Deno.test({
  name: "F3: loadConfig() refuses another user's file, drop-in and directory",
  ignore: leftOutUnlessRoot(import.meta),
  fn() {
    using files = filesOf({ "etc/c.toml": "", "etc/config.d/x.toml": "" });
    for (const theirs of ["etc", "etc/c.toml", "etc/config.d", "etc/config.d/x.toml"]) {
      Deno.chownSync(files.path(theirs), 65534, 65534);
      assert.throws(() => loadConfig({ env: () => files.path("etc/c.toml") }), {
        code: "PERMISSION_DENIED",
        message: new RegExp(`"${files.path(theirs)}" belongs to user 65534; ${RULE}$`),
      });
      Deno.chownSync(files.path(theirs), 0, 0);
    }
  },
});

Deno.test("loadConfig() reads nothing but regular files", async () => {
  using files = filesOf({ "c.toml": "", "config.d/none": "" });
  assert.ok((await new Deno.Command("mkfifo", { args: [files.path("config.d/x.toml")] }).output()).success);
  assert.throws(() => loadConfig({ commandLine: files.path("c.toml") }), {
    code: "INVALID_ARGUMENT",
    message: `Cannot read configuration "${files.path("config.d/x.toml")}": it is no regular file`,
  });
});

Deno.test("F12: a path that a pod wrote stands in the message as one short line", () => {
  const annotation = `\x1b]0;owned\x07\n${"x".repeat(4096)}`;
  assert.throws(() => openConfig({ annotation }), { message: /^\P{Cc}{1,600}$/u });
});
