import assert from "node:assert/strict";
import type { Cgroup } from "../cgroup/cgroup.ts";
import type { ContainerParts, Home } from "./create_options.ts";
import { isFrozenForLong, lockFreezing, Stillness } from "./stillness.ts";

/** A group of a temp dir, with a freezer. */
class Group implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "stillness-" });
  readonly version = 1;
  readonly paths = { freezer: this.path };
  pids: number[] = [1];
  state = "THAWED";
  hangs = false;

  get parts(): Pick<ContainerParts, "cgroup" | "home"> {
    return { cgroup: this as unknown as Cgroup, home: { stateRoot: this.path } as Home };
  }
  exists(): boolean {
    return true;
  }
  members(): number[] {
    return this.pids;
  }
  isFrozen(): boolean {
    return this.state === "FROZEN";
  }
  freeze(): Promise<void> {
    if (this.hangs) return Promise.reject(new Error("Cannot freeze"));
    this.state = "FROZEN";
    return Promise.resolve();
  }
  thaw(): Promise<void> {
    this.state = "THAWED";
    return Promise.resolve();
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.path);
  }
}

Deno.test("Stillness freezes a group for the moment of a look, and thaws it", async () => {
  using group = new Group();
  await using still = await Stillness.of(group.parts);
  let seen = "";
  assert.ok(await still.during(() => seen = group.state));
  assert.deepEqual([seen, group.state], ["FROZEN", "THAWED"]);
  await assert.rejects(() =>
    still.during(() => {
      throw new Error("look");
    }), /look/);
  assert.equal(group.state, "THAWED");
});

Deno.test("Stillness leaves a group frozen that others have frozen, also if it had to thaw meanwhile", async () => {
  using group = new Group();
  group.state = "FROZEN";
  {
    await using still = await Stillness.of(group.parts);
    assert.ok(await still.during(() => {}));
    assert.equal(group.state, "FROZEN");
    await group.thaw();
  }
  assert.equal(group.state, "FROZEN");
});

Deno.test("Stillness never freezes a group that we are in, nor one that hangs, and says so", async () => {
  using own = new Group();
  own.pids = [1, Deno.pid];
  using hanging = new Group();
  hanging.hangs = true;
  for (const group of [own, hanging]) {
    await using still = await Stillness.of(group.parts);
    let seen = "";
    assert.ok(!await still.during(() => seen = group.state));
    assert.equal(seen, "THAWED");
  }
});

Deno.test("isFrozenForLong() takes no look of another command for a pause", async () => {
  using group = new Group();
  {
    await using still = await Stillness.of(group.parts);
    await still.during(() => assert.ok(!isFrozenForLong(group.parts)));
  }
  assert.ok(!isFrozenForLong(group.parts));
  await group.freeze();
  assert.ok(isFrozenForLong(group.parts));
});

Deno.test("Stillness waits for who freezes or thaws the group by command", async () => {
  using group = new Group();
  const lock = await lockFreezing(group.parts.home);
  const waits = Stillness.of(group.parts);
  group.state = "FROZEN";
  lock?.[Symbol.dispose]();
  {
    await using still = await waits;
    assert.ok(await still.during(() => {}));
  }
  assert.equal(group.state, "FROZEN");
});
