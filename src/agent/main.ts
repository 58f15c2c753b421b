/**
 * The agent in the guest: the machine's first process, or a service under another one, or a plain process that serves
 * its API on a socket.
 *
 * @module
 */
import { errorChain } from "../base/error.ts";
import { createLogger, LEVELS, type Logger } from "../base/log.ts";
import { plainText } from "../base/text.ts";
import { VERSION } from "../base/version.ts";
import { endMachine } from "../linux/device/power.ts";
import { configurePolling } from "../linux/io/poll.ts";
import { reapChildren } from "../linux/process/spawn.ts";
import { listen } from "../rpc/transport/address.ts";
import { AGENT_API_VERSION } from "../agent_api/names.ts";
import type { AgentOptions } from "../agent_api/options.ts";
import { logCalls } from "../rpc/ttrpc/interceptors.ts";
import { serveTtrpc } from "../rpc/ttrpc/server.ts";
import { hostAdmission } from "./machine/host_key.ts";
import { type AgentArgs, parseAgentArgs } from "./args.ts";
import { loadAgentConfig, warnOfUnbuilt } from "./config.ts";
import { DeviceWaiter } from "./devices/waiter.ts";
import type { Guest } from "./guest.ts";
import { becomeInit, mountBaseFilesystems } from "./machine/init.ts";
import { listenForLogReader, stdoutSink } from "./machine/log_sink.ts";
import { ALLOW_ALL } from "./policy/policy.ts";
import { ModuleRequests, type ModuleRequestsOptions } from "./machine/module_requests.ts";
import { guardMachineVsock, ownsMachine } from "./machine/vsock.ts";
import { Sandbox } from "./sandbox.ts";
import { agentServices } from "./services/mod.ts";

/** Maker of the services with which the agent answers calls. */
type Services = typeof agentServices;

/** Runs the agent until the sandbox is destroyed or a signal asks it to end. As PID 1 it then powers the machine off. */
export async function main(args: readonly string[], services: Services = agentServices): Promise<number> {
  configurePolling("thread");
  const isInit = Deno.pid === 1;
  const parsed = parseAgentArgs(args, { isInit });
  if (parsed.showVersion) {
    const line = `kata-agent version ${VERSION}, api version ${AGENT_API_VERSION}, type: typescript\n`;
    Deno.stdout.writeSync(new TextEncoder().encode(line));
    return 0;
  }
  if (isInit) await runMachine(parsed, services);
  else await run(await loadOptions(parsed), { isInit, services });
  return 0;
}

/** The agent as PID 1, from the first mount to the power switch. */
async function runMachine(args: AgentArgs, services: Services): Promise<void> {
  using machine = new DisposableStack();
  machine.defer(() => endMachine("powerOff"));
  try {
    mountBaseFilesystems();
    const options = await loadOptions(args);
    becomeInit({ unifiedCgroups: options.unifiedCgroups || options.cgroupNoV1 === "all" });
    await run(options, { isInit: true, services });
  } catch (error) {
    // There is no later: the console is what the host shows when the agent does not answer.
    Deno.stderr.writeSync(new TextEncoder().encode(`kata-agent: ${plainText(errorChain(error))}\n`));
  }
}

function loadOptions({ configFile, serverAddress }: AgentArgs): Promise<AgentOptions> {
  return loadAgentConfig({
    cmdline: Deno.readTextFileSync("/proc/cmdline"),
    env: Deno.env,
    file: configFile,
    overrides: serverAddress === undefined ? {} : { serverAddress },
  });
}

async function run(
  options: AgentOptions,
  { isInit, services }: { isInit: boolean; services: Services },
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const log = openLog(options, stack);
  for (const warning of warnOfUnbuilt(options)) log.warning(warning);
  const end = new AbortController();
  // Both hold until the sandbox has ended with all its containers.
  guardMachineVsock({ options, log, isInit }, stack);
  const modules = stack.use(new ModuleRequests({ machine: machineOf({ options, isInit }), log }));
  const guest: Guest = {
    options,
    log,
    isInit,
    sandbox: stack.use(new Sandbox()),
    devices: new DeviceWaiter({ timeoutMs: options.hotplugTimeout * 1000 }),
    modules,
    policy: ALLOW_ALL,
    signal: end.signal,
    shutDown: () => end.abort(),
  };
  endOnSignals(guest, stack);
  logStrayErrors(guest, stack);
  if (isInit) reapOrphans(stack);
  const listener = listen(options.serverAddress, { admission: hostAdmission(options, log) });
  log.info("Agent serves", { address: options.serverAddress, version: VERSION, api: AGENT_API_VERSION });
  // Without interceptors a call takes a shorter way.
  const interceptors = LEVELS.indexOf(options.logLevel) <= LEVELS.indexOf("debug") ? [logCalls(log)] : [];
  await serveTtrpc(listener, services(guest), { signal: end.signal, log, interceptors });
}

function machineOf(guest: Pick<Guest, "options" | "isInit">): ModuleRequestsOptions["machine"] {
  if (!ownsMachine(guest)) return "none";
  return guest.isInit ? "init" : "service";
}

function openLog(options: AgentOptions, stack: AsyncDisposableStack): Logger {
  const { logLevel, logPort } = options;
  const fields = { name: "kata-agent", subsystem: "agent", version: VERSION };
  if (logPort === 0) return createLogger({ sink: stdoutSink(), level: logLevel, fields });
  const served = listenForLogReader(logPort, hostAdmission(options));
  stack.defer(async () => {
    served[Symbol.dispose]();
    await served.done;
  });
  return createLogger({ sink: served.sink, level: logLevel, fields });
}

/** Without handlers the kernel drops these for PID 1, and elsewhere they would leave containers behind. */
function endOnSignals({ shutDown }: Guest, stack: AsyncDisposableStack): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, shutDown);
    stack.defer(() => Deno.removeSignalListener(signal, shutDown));
  }
}

/** A mistake in one container's affairs must not take the whole machine down. */
function logStrayErrors({ log }: Guest, stack: AsyncDisposableStack): void {
  const report = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    log.error("An error that nobody awaited", { error: event.reason });
  };
  addEventListener("unhandledrejection", report);
  stack.defer(() => removeEventListener("unhandledrejection", report));
}

/** PID 1 is given the children of processes that end before them. */
function reapOrphans(stack: AsyncDisposableStack): void {
  const reap = () => void reapChildren();
  Deno.addSignalListener("SIGCHLD", reap);
  stack.defer(() => Deno.removeSignalListener("SIGCHLD", reap));
}
