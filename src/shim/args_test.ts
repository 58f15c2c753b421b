import assert from "node:assert/strict";
import { parseShimArgs } from "./args.ts";

Deno.test.each([
  { title: "single dashes", args: "-namespace k8s.io -address /c.sock -publish-binary /c -id a1 start" },
  { title: "double dashes", args: "--namespace k8s.io --address /c.sock --publish-binary /c --id a1 start" },
  { title: "= between name and value", args: "-namespace=k8s.io --address=/c.sock -publish-binary=/c -id=a1 start" },
  {
    title: "an id twice, as CRI-O passes it",
    args: "-namespace k8s.io -address /c.sock -publish-binary /c -id x -id a1 start",
  },
  { title: "a flag it does not know", args: "-new -namespace k8s.io -address /c.sock -publish-binary /c -id a1 start" },
])("parseShimArgs() reads $title", ({ args }) => {
  assert.deepEqual(parseShimArgs(args.split(" ")), {
    action: "start",
    namespace: "k8s.io",
    id: "a1",
    address: "/c.sock",
    publishBinary: "/c",
    bundle: "",
    socket: "",
    debug: false,
  });
});

Deno.test.each([
  { args: ["-namespace", "n", "-id", "a"], action: "serve" },
  { args: ["-namespace", "n", "-id", "a", "-bundle", "/b", "delete"], action: "delete" },
  { args: ["-info"], action: "info" },
  { args: ["--info", "-id", "a"], action: "info" },
  { args: ["-v"], action: "version" },
  { args: ["--version"], action: "version" },
  { args: ["-help"], action: "help" },
])("parseShimArgs($args) is to $action", ({ args, action }) => assert.equal(parseShimArgs(args).action, action));

Deno.test.each([
  { args: ["-debug"], debug: true },
  { args: ["-debug=true"], debug: true },
  { args: ["-debug=false"], debug: false },
])("parseShimArgs($args) sets debug to $debug", ({ args, debug }) => {
  assert.equal(parseShimArgs([...args, "-namespace", "n", "-id", "a"]).debug, debug);
});

Deno.test.each([
  { args: ["-namespace", "n", "start"], message: /-id is missing/ },
  { args: ["-id", "a", "start"], message: /-namespace is missing/ },
  { args: ["-namespace", "", "-id", "a", "start"], message: /-namespace is missing/ },
  { args: ["-namespace", "n", "-id", "../a", "start"], message: /Cannot use container id "..\/a"/ },
  { args: ["-namespace", "n", "-id", "a", "stop"], message: /Cannot run action "stop"/ },
])("parseShimArgs($args) is refused", ({ args, message }) => assert.throws(() => parseShimArgs(args), { message }));
