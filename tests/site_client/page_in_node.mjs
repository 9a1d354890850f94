// Runs the page's own script against a running site, in a document that holds only what the script asks for:
// `node page_in_node.mjs URL`. Prints which pictures it showed, at first, zoomed, moved and whole again.
const url = process.argv[2];
const elements = {};
const element = (id) => (elements[id] ??= { id, textContent: "", src: "" });
const handlers = [{}, {}];
const area = { left: 0, top: 0, width: 200, height: 100 };
const holders = handlers.map((known) => ({
  // A picture of the holder's own form, that fills it.
  querySelector: () => ({ naturalWidth: 400, naturalHeight: 200 }),
  addEventListener: (name, handler) => { known[name] = handler; },
  getBoundingClientRect: () => area,
  setPointerCapture: () => {},
}));
globalThis.document = {
  title: "",
  getElementById: element,
  querySelectorAll: (selector) => (selector === ".image" ? holders : []),
};
const ask = globalThis.fetch;
globalThis.fetch = (path, options) => ask(new URL(path, url), options);

const until = async (condition, what) => {
  const end = Date.now() + 20000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}: ${element("alarms").textContent}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const shown = async () => {
  const pictures = {};
  for (const side of ["before", "after"]) {
    const answer = await ask(new URL(element(side).src, url));
    const query = new URL(element(side).src, url).searchParams;
    pictures[side] = {
      status: answer.status,
      type: answer.headers.get("Content-Type"),
      box: query.get("box").split(",").map(Number),
    };
  }
  return pictures;
};
const after = async (act, what) => {
  const before = element("after").src;
  act();
  await until(() => element("after").src !== before, what);
  return shown();
};

const page = await (await ask(url)).text();
const script = page.match(/<script>([\s\S]*)<\/script>/)[1];
new Function(script)();
await until(() => element("after").src !== "", "the first picture");
const told = { first: await shown() };
const wheel = { deltaY: -1, clientX: 50, clientY: 50, preventDefault: () => {} };
told.zoomed = await after(() => handlers[0].wheel(wheel), "zoom");
told.moved = await after(() => {
  handlers[1].pointerdown({ clientX: 100, clientY: 50, pointerId: 1 });
  holders[1].onpointermove({ clientX: 90, clientY: 60 });
  holders[1].onpointerup();
}, "move");
told.whole = await after(() => elements.whole.onclick(), "the whole frame");
told.texts = Object.fromEntries(Object.values(elements).map((each) => [each.id, each.textContent]));
console.log(JSON.stringify(told));
process.exit(0);
