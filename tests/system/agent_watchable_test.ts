/** Volumes that the agent copies and follows: what becomes of the host's mount behind the copy. Needs root. */
import assert from "node:assert/strict";
import { GUEST_PATH, STORAGE_DRIVER } from "../../src/agent_api/names.ts";
import { AgentBox } from "./agent_box.ts";

const SOURCE = `${GUEST_PATH.passthrough}/.volumes/0-map`;
const COPY = `${GUEST_PATH.watchable}/.volumes-0-map`;
const STORAGES = [{
  driver: STORAGE_DRIVER.watchableBind,
  source: SOURCE,
  fstype: "bind",
  options: ["bind", "ro"],
  mountPoint: COPY,
}];

/** An agent with a volume of the host's, which stands for what the guest's kernel would mount by itself. */
async function startWithVolume(content: string): Promise<AgentBox> {
  const box = await AgentBox.start();
  const script = `mkdir -p ${SOURCE} && mount -t tmpfs volume ${SOURCE} && cd ${SOURCE} && ${content}`;
  const made = new Deno.Command("nsenter", { args: ["-t", `${box.pid}`, "-m", "sh", "-c", script] }).outputSync();
  assert.ok(made.success, new TextDecoder().decode(made.stderr));
  return box;
}

async function startReader(box: AgentBox, id: string): Promise<void> {
  const spec = box.spec(["cat", "/v/key"]);
  spec.mounts!.push({ type: "bind", options: ["rbind", "ro"], destination: "/v", source: COPY });
  await box.create(id, spec, { storages: STORAGES });
  await box.agent.startContainer({ containerId: id });
}

function isMounted(box: AgentBox, path: string): boolean {
  return box.usage().mounts.includes(path);
}

Deno.test("pods A4: the host's mount behind a copy goes with the copy's last container, for the host to let go of it", async () => {
  await using box = await startWithVolume("mkdir ..1 && echo one >..1/key && ln -s ..1 ..data && ln -s ..data/key key");
  for (const id of ["c1", "c2"]) await startReader(box, id);
  assert.equal((await box.end({ containerId: "c1", execId: "" })).stdout, "one\n");
  await box.agent.removeContainer({ containerId: "c1" });
  assert.deepEqual([isMounted(box, SOURCE), isMounted(box, COPY)], [true, true], "another container has it");
  await box.agent.removeContainer({ containerId: "c2" });
  assert.deepEqual([isMounted(box, SOURCE), isMounted(box, COPY)], [false, false]);
});

Deno.test("pods A4: a volume whose content goes away all the time is shown as it is, and never as an empty copy", async () => {
  await using box = await startWithVolume(
    "ln -s ..gone ..data && ln -s ..other/key key && mkdir ..other && echo as it is >..other/key",
  );
  await startReader(box, "c1");
  assert.equal((await box.end({ containerId: "c1", execId: "" })).stdout, "as it is\n");
  await box.agent.removeContainer({ containerId: "c1" });
  assert.ok(box.log.some((line) => line.includes("are not told to who watches it")));
});
