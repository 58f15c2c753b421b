/** All targets, by name. @module */
import type { AnyTarget } from "./core/target.ts";
import { agentAnswers } from "./targets/agent_answers.ts";
import { agentRequests } from "./targets/agent_requests.ts";
import { annotations, configuration } from "./targets/config.ts";
import { hostProof, hybridVsock, logLines, management } from "./targets/doors.ts";
import { cgroupTree } from "./targets/groups.ts";
import { hooks } from "./targets/hooks.ts";
import { kernelBytes } from "./targets/kernel_bytes.ts";
import { kernelFiles } from "./targets/kernel_files.ts";
import { monitorUsers } from "./targets/monitor.ts";
import { mountWords, sharedMounts } from "./targets/mount_lists.ts";
import { guestNames, nameQueries } from "./targets/names.ts";
import { copyFile, paths } from "./targets/paths.ts";
import { PLANTED } from "./targets/planted.ts";
import { guestConnections, portForward } from "./targets/ports.ts";
import { qmp } from "./targets/qmp.ts";
import { runk, runkState } from "./targets/runk.ts";
import { runkJoined } from "./targets/runk_joined.ts";
import { serial } from "./targets/serial.ts";
import { shimTask, stdio } from "./targets/shim_task.ts";
import { sizing } from "./targets/sizing.ts";
import { execProcess, seccomp, specEngine, specHost } from "./targets/spec.ts";
import { ttrpcClient } from "./targets/ttrpc_client.ts";
import { ttrpcServer } from "./targets/ttrpc_server.ts";
import { words } from "./targets/words.ts";

export const TARGETS: readonly AnyTarget[] = [
  ttrpcServer,
  ttrpcClient,
  qmp,
  monitorUsers,
  serial,
  configuration,
  annotations,
  sizing,
  words,
  kernelFiles,
  kernelBytes,
  agentAnswers,
  specHost,
  specEngine,
  execProcess,
  seccomp,
  copyFile,
  paths,
  cgroupTree,
  hooks,
  mountWords,
  management,
  portForward,
  guestConnections,
  nameQueries,
  guestNames,
  hybridVsock,
  hostProof,
  logLines,
  stdio,
  shimTask,
  sharedMounts,
  agentRequests,
  runk,
  runkState,
  runkJoined,
];

/** Targets that run in a machine to throw away alone. */
export const BOXED: readonly AnyTarget[] = TARGETS.filter(({ isBoxed }) => isBoxed);

/** @throws {RangeError} There is none of that name. */
export function targetNamed(name: string): AnyTarget {
  const target = [...TARGETS, ...PLANTED].find((target) => target.name === name);
  if (target !== undefined) return target;
  throw new RangeError(`Cannot fuzz "${name}": there are ${TARGETS.map(({ name }) => name).join(", ")}`);
}
