import assert from "node:assert/strict";
import { chooseUser, type UserNeeds } from "./vmm_user.ts";
import { leftOutUnlessRoot } from "../../base/testing/left_out.ts";

const ignore = leftOutUnlessRoot(import.meta);

/** A directory that everybody may search, with files by name and mode. */
function files(modes: Record<string, number>): Disposable & { at(name: string): string } {
  const directory = Deno.makeTempDirSync({ prefix: "kata-user-" });
  Deno.chmodSync(directory, 0o755);
  for (const [name, mode] of Object.entries(modes)) {
    Deno.writeTextFileSync(`${directory}/${name}`, "");
    Deno.chmodSync(`${directory}/${name}`, mode);
  }
  return {
    at: (name) => `${directory}/${name}`,
    [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }),
  };
}

Deno.test({
  name: "F14: chooseUser() draws a user that no account has, another one each time, without groups",
  ignore,
  fn() {
    const users = Array.from({ length: 10 }, () => chooseUser({ program: "/bin/true", device: "/dev/null" }));
    for (const user of users) {
      assert.ok(typeof user === "object");
      assert.ok(user.uid >= 0x70000000 && user.uid < 0x7fffffff);
      assert.deepEqual([user.gid, user.groups], [user.uid, []]);
    }
    assert.equal(new Set(users.map((user) => Object(user).uid)).size, users.length);
  },
});

Deno.test({
  name: "F14: chooseUser() says what would be out of the user's reach",
  ignore,
  fn() {
    using made = files({ program: 0o755, secret: 0o600, open: 0o644, private: 0o700 });
    Deno.mkdirSync(made.at("hidden"), { mode: 0o700 });
    Deno.writeTextFileSync(made.at("hidden/file"), "");
    const program = made.at("program");
    const rows: readonly [UserNeeds, string | undefined][] = [
      [{ program, reads: [made.at("open"), ""], opened: [made.at("hidden/file")] }, undefined],
      [{ program: made.at("private") }, `run "${made.at("private")}"`],
      [{ program, reads: [made.at("secret")] }, `read "${made.at("secret")}"`],
      [{ program, reads: [made.at("hidden/file")] }, `read "${made.at("hidden/file")}"`],
      [{ program, opened: [made.at("secret")] }, `read "${made.at("secret")}"`],
      [{ program, fills: [made.at("hidden")] }, `write to "${made.at("hidden")}"`],
      [{ program, device: made.at("secret") }, `use "${made.at("secret")}"`],
    ];
    for (const [needs, refusal] of rows) {
      const user = chooseUser(needs);
      assert.deepEqual(typeof user === "string" ? user : undefined, refusal && `others than root cannot ${refusal}`);
    }
  },
});

Deno.test({
  name: "F14: chooseUser() gives the group of a device that its group may use, as /dev/kvm is on Debian",
  ignore,
  fn() {
    using made = files({ device: 0o660 });
    Deno.chownSync(made.at("device"), 0, 104);
    assert.deepEqual(Object(chooseUser({ program: "/bin/true", device: made.at("device") })).groups, [104]);
  },
});
