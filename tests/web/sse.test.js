// The frame parser of the event stream: every way a stream may be cut and its lines may end.
import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameParser } from "../../web/js/sse.js";

const STREAM = "retry: 1000\n\n: hello\n\nid: 7\nevent: thinking\ndata: {\"a\": 1}\n\nid: 8\nevent: stream_chunk\ndata: one\ndata:two\n\n";
const FRAMES = [
  { id: "7", name: "thinking", data: '{"a": 1}' },
  { id: "8", name: "stream_chunk", data: "one\ntwo" },
];

function frames(pieces) {
  const parser = new FrameParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

test("reads frames and skips comments and retry", () => {
  assert.deepEqual(frames([STREAM]), FRAMES);
});

for (const [name, end] of [["newlines", "\n"], ["returns", "\r"], ["both", "\r\n"]]) {
  test(`may be cut anywhere, with ${name} as line ends`, () => {
    const text = STREAM.replaceAll("\n", end);
    assert.deepEqual(frames([...text]), FRAMES);
    for (let cut = 0; cut <= text.length; cut += 1) {
      assert.deepEqual(frames([text.slice(0, cut), "", text.slice(cut)]), FRAMES, `cut at ${cut}`);
    }
  });
}

test("an unfinished frame waits", () => {
  const parser = new FrameParser();
  assert.deepEqual(parser.push("data: one\n"), []);
  assert.deepEqual(parser.push("\n"), [{ id: null, name: "message", data: "one" }]);
});

test("an id without data moves on without a frame, and stays for the next", () => {
  assert.deepEqual(frames(["id: 3\n\ndata: x\n\n"]), [{ id: "3", name: "message", data: "x" }]);
});

test("a byte order mark at the start is no text", () => {
  assert.deepEqual(frames(["\uFEFFdata: x\n\n"])[0].data, "x");
});

test("a colon in the value and a field without one are kept", () => {
  assert.deepEqual(frames(["data: a: b\ndata\n\n"])[0].data, "a: b\n");
});
