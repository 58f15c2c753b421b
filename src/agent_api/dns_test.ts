import assert from "node:assert/strict";
import { failureOf, isAnswerTo, isQuery } from "./dns.ts";
import { dnsQuery } from "./testing/dns_query.ts";

Deno.test("isQuery() takes a question about a name, with options too", () => {
  assert.ok(isQuery(dnsQuery("srv")));
  assert.ok(isQuery(dnsQuery("a.b.example.org", { type: 28 })));
  const option = [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0];
  const withOptions = Uint8Array.from([...dnsQuery("srv"), ...option]);
  withOptions[11] = 1;
  assert.ok(isQuery(withOptions));
});

const TOO_LONG = Array.from({ length: 5 }, () => "x".repeat(60)).join(".");

Deno.test.each<{ what: string; message: Uint8Array }>([
  { what: "nothing", message: new Uint8Array() },
  { what: "a header alone", message: dnsQuery("srv").slice(0, 12) },
  { what: "a question that is cut off", message: dnsQuery("srv").slice(0, -1) },
  { what: "a name that points elsewhere", message: changed(dnsQuery("srv"), 12, 0xc0) },
  { what: "a name of more than 255 bytes", message: dnsQuery(TOO_LONG) },
  { what: "an answer", message: changed(dnsQuery("srv"), 2, 0x81) },
  { what: "another operation (an update)", message: changed(dnsQuery("srv"), 2, 0x28) },
  { what: "two questions", message: changed(dnsQuery("srv"), 5, 2) },
  { what: "records that answer", message: changed(dnsQuery("srv"), 7, 1) },
  { what: "a transfer of a zone", message: dnsQuery("srv", { type: 252 }) },
  { what: "more than 4 KiB", message: Uint8Array.from([...dnsQuery("srv"), ...new Uint8Array(4096)]) },
  { what: "something else than DNS", message: new TextEncoder().encode("GET / HTTP/1.1\r\nHost: 127.0.0.11\r\n\r\n") },
])("pods A10: isQuery() refuses $what", ({ message }) => {
  assert.ok(!isQuery(message));
});

function changed(message: Uint8Array, at: number, value: number): Uint8Array {
  const copy = message.slice();
  copy[at] = value;
  return copy;
}

Deno.test("failureOf() is an answer to the query, and says that it failed", () => {
  const query = dnsQuery("srv", { id: 0x1234 });
  const answer = failureOf(query);
  assert.ok(isAnswerTo(query, answer));
  assert.equal(answer[3]! & 0xf, 2);
  assert.deepEqual(answer.slice(12), query.slice(12));
  assert.ok(!isAnswerTo(dnsQuery("srv", { id: 1 }), answer));
  assert.ok(!isAnswerTo(query, query));
});
