// The gateway's own API. The login lives in this variable alone and goes with the page.

const API = "/integration/performance/";
let authorization = null;

class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "HTTP status " + status);
    this.status = status;
    this.hint = body.hint;
  }
}

function basic(user, password) {
  const bytes = new TextEncoder().encode(user + ":" + password);
  return "Basic " + btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

async function ask(path, options) {
  let response;
  try {
    // Without credentials: the browser must neither add a login of its own nor ask for one.
    response = await fetch(API + path, {
      credentials: "omit",
      ...options,
      headers: { Authorization: authorization, ...(options && options.headers) },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The gateway does not answer." });
  }
  if (response.ok) return response;
  let body = {};
  try {
    body = await response.json();
  } catch (error) {
    // a status without a body says enough
  }
  throw new Problem(response.status, body);
}

async function get(path, parameters) {
  const query = new URLSearchParams(parameters || {}).toString();
  return (await ask(path + (query ? "?" + query : ""))).json();
}

async function post(path, body) {
  const response = await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body || {}),
  });
  return response.status === 204 ? null : response.json();
}

// Reads server-sent events by fetch, as EventSource can't send a login. Ends with the stream.
async function follow(path, signal, tell) {
  const reader = (await ask(path, { signal })).body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    pending += value;
    let end;
    while ((end = pending.indexOf("\n\n")) >= 0) {
      const event = { kind: "message", data: "" };
      for (const line of pending.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) event.kind = line.slice(7);
        if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      pending = pending.slice(end + 2);
      if (event.data) tell(event.kind, JSON.parse(event.data));
    }
  }
}
