/** `grpc.Health`: whether the agent answers, and which one it is. @module */
import type { ServiceImpl } from "@connectrpc/connect";
import { VERSION } from "../../base/version.ts";
import { type Health, HealthCheckResponse_ServingStatus } from "../../proto/health_pb.ts";
import { AGENT_API_VERSION } from "../../agent_api/names.ts";

/** The health service; it never looks at the sandbox, so that it answers whatever that is busy with. */
export function healthService(): ServiceImpl<typeof Health> {
  return {
    check: () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
    version: () => ({ grpcVersion: AGENT_API_VERSION, agentVersion: VERSION }),
  };
}
