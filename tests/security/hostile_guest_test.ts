/** The attackers of this suite can attack; one that cannot would let every test pass. */
import assert from "node:assert/strict";
import { pods, SLEEP } from "../interop/pod.ts";
import { hostileContainer, podWith } from "./hostile_container.ts";
import { hostilePods, inGuest } from "./hostile_guest.ts";
import { asLocalUser, NOBODY } from "./local_user.ts";

hostilePods("hostile guest: a test runs what it likes as the agent's root, and answers what it likes", async (node) => {
  await using pod = await node.pod("pod");
  const container = await pod.run("one", SLEEP);
  assert.deepEqual(await inGuest(container, () => [Deno.uid(), Deno.pid]), [0, 1]);
  assert.deepEqual(await inGuest(container, (guest, word) => guest.sh(`echo ${word}; exit 3`), "said"), {
    code: 3,
    stdout: "said\n",
    stderr: "",
  });
  await assert.rejects(
    inGuest(container, () => {
      throw new Error("no");
    }),
    /in the guest: no/,
  );
  assert.equal(await inGuest(container, ({ kept }) => kept.first), "from the start");
  await inGuest(container, ({ answers }) => {
    answers.waitProcess = async (_request, honest) => ({ ...await honest(), status: 41 });
  });
  assert.equal((await container.tryExec("true")).status, 41);
}, {
  first: ({ kept }) => {
    kept.first = "from the start";
  },
});

pods("hostile container: it has the rights that a test gives it, and no more", async (node) => {
  const capabilities = ["SYS_PTRACE"];
  await using pod = await node.pod("pod", podWith({ sharesPids: true }));
  const [plain, hostile] = [
    await hostileContainer(pod, "plain"),
    await hostileContainer(pod, "hostile", { capabilities, sharesPids: true }),
  ];
  const effective = async (container: typeof plain) =>
    BigInt(`0x${/[0-9a-f]+$/.exec((await container.exec("grep CapEff /proc/self/status")).trim())![0]}`);
  const SYS_PTRACE = 1n << 19n;
  assert.equal(await effective(hostile) ^ await effective(plain), SYS_PTRACE);
  assert.match(await hostile.exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), /sleep 1000000 .*sleep 1000000/s);
});

Deno.test("local user: nobody without groups and capabilities, who cannot get more", async () => {
  const { status, output } = await asLocalUser([
    "sh",
    "-c",
    "id -u; id -G; grep -E 'Cap|NoNewPrivs' /proc/self/status",
  ]);
  assert.equal(status, 0, output);
  const zero = "0".repeat(16);
  const caps = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map((name) => `Cap${name}:\t${zero}`);
  assert.deepEqual(output.trim().split("\n").sort(), [`${NOBODY}`, `${NOBODY}`, ...caps, "NoNewPrivs:\t1"].sort());
});
