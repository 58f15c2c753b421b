import assert from "node:assert/strict";
import { changeProcess, type ProcessChanges, readProcess } from "./process_spec.ts";

const process = { args: ["sh"], env: ["A=1"], cwd: "/", user: { uid: 0, gid: 0 }, terminal: true };
const none: ProcessChanges = {
  args: ["ls"],
  env: [],
  additionalGids: [],
  tty: false,
  capabilities: [],
  noNewPrivileges: false,
};

Deno.test("changeProcess() replaces args and terminal, and keeps what is not named", () => {
  assert.deepEqual(changeProcess(process, none), { ...process, args: ["ls"], terminal: false });
});

Deno.test("changeProcess() adds environment, groups and capabilities", () => {
  const changes = {
    ...none,
    env: ["B=2"],
    user: "5:6",
    additionalGids: ["7", "7"],
    capabilities: ["CAP_KILL"],
    cwd: "/tmp",
  };
  const { env, user, capabilities, cwd } = changeProcess(process, changes);
  assert.deepEqual(env, ["A=1", "B=2"]);
  assert.deepEqual(user, { uid: 5, gid: 6, additionalGids: [7] });
  assert.deepEqual(capabilities?.bounding, ["CAP_KILL"]);
  assert.equal(cwd, "/tmp");
});

Deno.test.each([{ user: "root" }, { user: "1:staff" }, { user: "-1" }, { user: "1:2:3" }, { user: "99999999999" }])(
  "changeProcess() refuses user $user",
  ({ user }) => assert.throws(() => changeProcess(process, { ...none, user }), RangeError),
);

Deno.test("readProcess() names a file it cannot read", () => {
  assert.throws(() => readProcess("/no/such.json"), { message: 'Cannot read process "/no/such.json"' });
});
