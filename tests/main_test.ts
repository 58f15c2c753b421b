import assert from "node:assert/strict";
import { chooseMode } from "../main.ts";

Deno.test.each([
  { argv0: "/usr/bin/containerd-shim-kata-v2", args: ["start"], mode: "containerd-shim-kata-v2", rest: ["start"] },
  { argv0: "containerd-shim-kata-qemu-v2", args: [], mode: "containerd-shim-kata-qemu-v2", rest: [] },
  { argv0: "/usr/bin/kata", args: ["kata-agent", "-c", "x"], mode: "kata-agent", rest: ["-c", "x"] },
  { argv0: "deno", args: [], mode: "", rest: [] },
  { argv0: "/opt/kata", args: ["--root", "/r", "state", "c"], mode: "runk", rest: ["--root", "/r", "state", "c"] },
  { argv0: "/opt/my-runtime", args: ["create", "c"], mode: "runk", rest: ["create", "c"] },
  { argv0: "/opt/kata", args: ["--version"], mode: "--version", rest: [] },
])("chooseMode($argv0, $args) is $mode", ({ argv0, args, mode, rest }) => {
  assert.deepEqual(chooseMode(argv0, args), { mode, args: rest });
});
