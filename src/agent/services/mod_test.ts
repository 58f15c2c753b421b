import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { errorCode } from "../../base/error.ts";
import { createLogger } from "../../base/log.ts";
import { AgentService } from "../../proto/agent_pb.ts";
import { Connections } from "../../proto/connections_pb.ts";
import { Health } from "../../proto/health_pb.ts";
import { defaultAgentOptions } from "../../agent_api/options.ts";
import { DeviceWaiter } from "../devices/waiter.ts";
import type { Guest } from "../guest.ts";
import { ALLOW_ALL, type Policy } from "../policy/policy.ts";
import { Sandbox } from "../sandbox.ts";
import { agentMethods, agentServices, guarded } from "./mod.ts";

const context = { signal: new AbortController().signal } as HandlerContext;

/** A guest whose every property says when it is used, from {@linkcode watch} on. */
function makeGuest(policy: Policy): { guest: Guest; used: string[]; watch(): void } {
  const used: string[] = [];
  let isWatched = false;
  const spied = <T extends object>(name: string, target: T): T =>
    new Proxy(target, {
      get(object, key) {
        if (isWatched) used.push(`${name}.${String(key)}`);
        return Reflect.get(object, key, object);
      },
    });
  const guest: Guest = {
    options: spied("options", defaultAgentOptions()),
    log: spied("log", createLogger({ sink: () => {} })),
    sandbox: spied("sandbox", new Sandbox()),
    devices: spied("devices", new DeviceWaiter()),
    modules: spied("modules", { serve: () => Promise.resolve() }),
    policy,
    isInit: false,
    signal: new AbortController().signal,
    shutDown: () => void used.push("shutDown"),
  };
  return { guest: spied("guest", guest), used, watch: () => isWatched = true };
}

function denying(why = "no rule"): Policy & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    allows(method, request) {
      asked.push(`${method} ${(request as { $typeName: string }).$typeName}`);
      return { isAllowed: false, why };
    },
  };
}

Deno.test("guarded() gives the methods themselves where all is allowed: each call goes straight to its handler", () => {
  const methods = agentMethods(makeGuest(ALLOW_ALL).guest);
  assert.equal(guarded(methods, ALLOW_ALL), methods);
  const handler = () => ({});
  assert.equal(guarded({ createContainer: handler }, ALLOW_ALL).createContainer, handler);
});

Deno.test("guarded() judges a request before its handler sees it, and hands on what is allowed as it is", async () => {
  const seen: unknown[] = [];
  const asked: unknown[] = [];
  const policy: Policy = {
    async allows(method, request) {
      assert.deepEqual(seen, [], "nothing has happened yet");
      asked.push(method, request);
      return { isAllowed: true };
    },
  };
  const methods = { getOOMEvent: (...args: unknown[]) => (seen.push(...args), "answer") };
  const request = create(AgentService.method.getOOMEvent.input);
  const method = guarded(methods, policy).getOOMEvent;
  assert.equal(await method(request, context), "answer");
  assert.deepEqual(asked, ["GetOOMEvent", request]);
  assert.equal(seen[0], request);
  assert.equal(seen[1], context);
});

for (
  const { service, isGuarded } of [
    { service: AgentService, isGuarded: true },
    { service: Connections, isGuarded: true },
    { service: Health, isGuarded: false },
  ]
) {
  const rule = isGuarded ? "answers PERMISSION_DENIED naming the method, and does nothing" : "is not asked";
  Deno.test(`a policy that denies all ${rule}: every method of ${service.typeName}`, async () => {
    const policy = denying();
    const { guest, used, watch } = makeGuest(policy);
    const { methods } = agentServices(guest).find((one) => one.service === service)!;
    const ours = agentMethods(guest);
    // Methods without an implementation, which answer UNIMPLEMENTED whatever the policy says, are left out.
    const built = Object.values(methods).filter(({ method }) => service !== AgentService || method.localName in ours);
    watch();
    for (const { method, impl } of built) {
      const call = async () =>
        await (impl as (request: object, context: HandlerContext) => unknown)(create(method.input), context);
      if (!isGuarded) {
        await call();
        continue;
      }
      const type = method.input.typeName.split(".").at(-1);
      const message = `Cannot call ${method.name}: ${type} is blocked by policy: no rule`;
      await assert.rejects(call, (error: Error) => {
        assert.equal(error.message, message);
        return errorCode(error) === "PERMISSION_DENIED";
      });
    }
    assert.deepEqual(used, []);
    assert.deepEqual(
      policy.asked,
      isGuarded ? built.map(({ method }) => `${method.name} ${method.input.typeName}`) : [],
    );
  });
}
