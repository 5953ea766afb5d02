// js_client.mjs: @gradio/client, the JavaScript client as it is, against the lab. Prints "ok NAME", "not ok NAME: why", "skip NAME: why".
import { readFileSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { suite, same, need, sleep } from './kit.mjs';

const { LAB, AUTH, IFACE, FULL, CACHE } = process.env;
const { Client, handle_file } = await import(
  pathToFileURL(join(CACHE, 'node/node_modules/@gradio/client/dist/index.js'))
);
const here = dirname(fileURLToPath(import.meta.url));
const wav = readFileSync(join(here, '../data/audio/today.wav'));
const all = ['status', 'data', 'log', 'render'];
const { test, done } = suite('js');
const errors = [];
console.error = (...text) => errors.push(text.join(' ')); // the client tells what it does not understand
console.warn = () => {};

const connect = (base = LAB, options = {}) => Client.connect(base, { events: all, ...options });
const lab = await connect();

// All events of a call, values copied as they come (the client changes them in place).
async function run(app, endpoint, data = [], each = () => {}) {
  const events = [],
    job = app.submit(endpoint, data);
  for await (const event of job) {
    events.push(structuredClone(event));
    await each(event, job);
    if (event.type === 'status' && (event.stage === 'complete' || event.stage === 'error')) break;
  }
  return events;
}
const values = (events) => events.filter((e) => e.type === 'data').map((e) => e.data);
const stages = (events) => events.filter((e) => e.type === 'status').map((e) => e.stage);
const bytes = async (url, options) => Buffer.from(await (await fetch(url, options)).arrayBuffer());

test('predict', async () => {
  for (const text of ['hi', '', 'grüße 🎱 \u2028 " \\ </script>', 'x'.repeat(50000)])
    same((await lab.predict('/echo', [text])).data, [text]);
});
test('predict by name', async () => same((await lab.predict('/typed', { n: 5 })).data, ['5:dflt']));
test('predict by number', async () => same((await lab.predict(0, ['n'])).data, ['n']));
test('status events', async () => {
  const events = await run(lab, '/echo', ['s']);
  same([values(events), stages(events).at(0), stages(events).at(-1)], [[['s']], 'pending', 'complete']);
});
test('diffs rebuilt', async () => {
  const got = values(await run(lab, '/count', [4]));
  const want = [0, 1, 2, 3].map((i) => [
    [...Array(i + 1).keys()].join(' ') + ' ',
    { i, items: [...Array(i + 1).keys()] },
  ]);
  same(got, [...want, want[3]]);
});
test('numbers', async () => same(values(await run(lab, '/stepper', [3])), [[0], [1], [2], [2]]));
test('diffs in nested values', async () => {
  const got = values(await run(lab, '/gallery_stream'));
  same(
    got.map((v) => v[0].map((i) => i.caption)),
    [['one'], ['one more', 'two'], ['two'], ['two']],
  );
  need(
    got.flat(2).every((i) => i.image.url.startsWith(`${LAB}/gradio_api/file=`) && i.image.url.endsWith(i.image.path)),
    'url and path do not belong together',
  );
  same((await bytes(got[2][0][0].image.url)).subarray(1, 4).toString(), 'PNG');
  const [red, again, blue] = await Promise.all([got[0][0][0], got[1][0][0], got[2][0][0]].map((i) => bytes(i.image.url)));
  need(red.equals(again) && !red.equals(blue), 'the pictures are mixed up');
});
test('progress', async () => {
  const seen = (await run(lab, '/progress', [2])).filter((e) => e.progress_data).map((e) => e.progress_data[0]);
  same(
    seen.filter((p) => p.index !== 2).map((p) => [p.index, p.length, p.progress, p.unit, p.desc]),
    [
      [null, null, 0, 'steps', 'Starting'],
      [0, 2, null, 'steps', 'Working'],
      [1, 2, null, 'steps', 'Working'],
    ],
  );
});
test('toasts', async () => {
  const logs = (await run(lab, '/warn', ['x'])).filter((e) => e.type === 'log');
  same(
    logs.map((l) => [l.log, l.level, l.duration, l.visible, l.title]),
    [
      ['an info', 'info', 5, true, 'Info'],
      ['a warning', 'warning', 10, true, 'Careful'],
      ['a success', 'success', 10, true, 'Success'],
    ],
  );
});
test('error for the user', async () => {
  const last = (await run(lab, '/fail', ['x'])).at(-1);
  same(
    [last.stage, last.message, last.title, last.duration, last.visible],
    ['error', 'the ball is broken', 'Ball error', 7, true],
  );
});
test('internal error', async () => {
  const last = (await run(lab, '/crash', ['x'])).at(-1);
  same(last.stage, 'error');
  need(!JSON.stringify(last).includes('secret'), JSON.stringify(last));
});
test('error after values', async () => {
  const events = await run(lab, '/failgen', ['x']);
  same([values(events), events.at(-1).stage, events.at(-1).message], [[['x1'], ['x12']], 'error', 'late failure']);
});
test('predict of a failure rejects', async () => {
  const error = await lab.predict('/fail', ['x']).then(
    () => null,
    (e) => e,
  );
  same(error?.message, 'the ball is broken');
});
test('cancel', async () => {
  const app = await connect();
  let n = 0;
  const events = await run(app, '/count', [100], async (event, job) => {
    if (event.type === 'data' && ++n === 2) await job.cancel();
  });
  need(n < 8, `${n} values`);
  need(['error', 'complete'].includes(events.at(-1).stage), JSON.stringify(events.at(-1)));
  same((await app.predict('/echo', ['after'])).data, ['after']);
  errors.length = 0; // "Unexpected client exception" at the empty output of a cancel is the client's own
});
test('unqueued function', async () => {
  const events = await run(lab, '/fast', ['q']);
  same([values(events), events.some((e) => e.queue === true)], [[['fast q']], false]);
});
test('file of a Blob', async () => {
  const { data } = await lab.predict('/file_echo', [new Blob([Buffer.from('blob bytes')])]);
  same((await bytes(data[0].url)).toString(), 'blob bytes');
});
test('file by handle_file', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'lab-')), 'my notes ü.txt');
  writeFileSync(path, 'from a path');
  const { data } = await lab.predict('/file_echo', { f: handle_file(path) });
  same([(await bytes(data[0].url)).toString(), data[0].meta], ['from a path', { _type: 'gradio.FileData' }]);
});
test('file by name', async () => {
  const { data } = await lab.predict('/file_echo', [new File(['named'], 'näme (1).txt', { type: 'text/plain' })]);
  same((await bytes(data[0].url)).toString(), 'named');
});
test('audio', async () => {
  const { data } = await lab.predict('/audio_echo', [new File([wav], 'today.wav', { type: 'audio/wav' })]);
  need((await bytes(data[0].url)).equals(wav), 'it came back changed');
});
test('streamed audio', async () => {
  const got = values(await run(lab, '/tone'));
  same(got.length, 5);
  need(
    got.every((v) => v[0].is_stream && v[0].url === got[0][0].url && v[0].url.endsWith('/playlist.m3u8')),
    JSON.stringify(got[1]),
  );
  const text = (await bytes(got[0][0].url)).toString();
  need(text.startsWith('#EXTM3U') && text.endsWith('#EXT-X-ENDLIST\n'), text);
});
test('State', async () => {
  const app = await connect(),
    other = await connect();
  const next = async (a) => (await a.predict('/counter')).data.at(-1);
  same([await next(app), await next(app), await next(other), await next(app)], ['1', '2', '1', '3']);
});
test('batch', async () => {
  const got = await Promise.all([...Array(6).keys()].map((i) => lab.predict('/batch', [`t${i}`])));
  need(
    got.every((r, i) => r.data[0].startsWith(`T${i}/`)),
    JSON.stringify(got.map((r) => r.data)),
  );
});
test('many at once in one session', async () => {
  const app = await connect();
  const got = await Promise.all([...Array(40).keys()].map((i) => app.predict('/echo', [`${i}`])));
  same(
    got.map((r) => r.data[0]),
    [...Array(40).keys()].map(String),
  );
});
// The client opens its stream behind the first answer, and loses what it joins while that stream is being closed: a server that
// closes it at once loses every second of these.
test('bursts of calls', async () => {
  for (let k = 0; k < 15; k++) {
    const app = await connect();
    const got = await Promise.all([...Array(6).keys()].map((i) => app.predict('/echo', [`${k}-${i}`])));
    same(
      got.map((r) => r.data[0]),
      [...Array(6).keys()].map((i) => `${k}-${i}`),
    );
  }
});
// The same where a call follows a burst after the time that a server may leave a stream open: the answer of the join must not come
// before the end of the stream that it crosses.
test('calls behind a burst', async () => {
  const app = await connect();
  const echo = (text) => Promise.race([app.predict('/echo', [text]), sleep(5000)]);
  for (let k = 0; k < 120; k++) {
    need((await Promise.all([echo('a'), echo('b')])).every(Boolean), `a call of burst ${k} is lost`);
    const after = (k * 0.7) % 35;
    for (const until = performance.now() + after; performance.now() < until; ) await sleep(0);
    need(await echo('c'), `a call ${after.toFixed(1)} ms behind a burst is lost`);
  }
});
test('two generators at once', async () => {
  const app = await connect();
  const [a, b] = await Promise.all([run(app, '/count', [3]), run(app, '/stepper', [3])]);
  same([values(a).at(-1)[0], values(b)], ['0 1 2 ', [[0], [1], [2], [2]]]);
});
test('queue full', async () => {
  const [a, b, c] = await Promise.all([connect(FULL), connect(FULL), connect(FULL)]);
  const first = run(a, '/slow', [1]);
  await sleep(300);
  const second = run(b, '/slow', [0.1]);
  await sleep(300);
  const third = (await run(c, '/slow', [0.1])).at(-1);
  same([third.stage, /busy|full/i.test(third.message)], ['error', true]);
  same([values(await first), values(await second)], [[['slept']], [['slept']]]);
});
test('error shown where show_error is on', async () => {
  const last = (await run(await connect(FULL), '/slow', ['no number'])).at(-1);
  same([last.stage, typeof last.message], ['error', 'string']);
});
test('property update', async () => {
  same((await lab.predict('/update', ['new'])).data, [
    { label: 'Renamed', interactive: false, value: 'new', __type__: 'update' },
  ]);
});
test('view_api', async () => {
  const info = await lab.view_api();
  same(Object.keys(info.named_endpoints).length, 27);
  const typed = info.named_endpoints['/typed'];
  same(
    typed.parameters.map((p) => [p.parameter_name, p.type, p.parameter_has_default, p.parameter_default]),
    [
      ['n', 'integer', false, null],
      ['t', 'string', true, 'dflt'],
    ],
  );
  need(!('/hidden_one' in info.named_endpoints), 'hidden_one is there');
  same(info.named_endpoints['/file_echo'].parameters[0].component, 'File');
});
test('headers and session', async () => {
  const app = await connect(LAB, { headers: { 'x-lab': 'deep' } });
  same((await app.predict('/whoami', ['x'])).data, [`deep|${app.session_hash}|None`]);
});
test('login', async () => {
  const app = await connect(AUTH, { auth: ['admin', 'secret'] });
  same((await app.predict('/echo', ['in'])).data, ['in']);
  const bad = await connect(AUTH, { auth: ['admin', 'wrong'] }).then(
    () => null,
    (e) => e,
  );
  need(bad, 'a wrong password was accepted');
  const none = await connect(AUTH).then(
    () => null,
    (e) => e,
  );
  need(none, 'no password was accepted');
});
test('interface', async () => {
  const { data } = await (await connect(IFACE)).predict('/draw', ['x']);
  same(data[0].length, 2);
  same((await bytes(data[0][0].image.url)).subarray(1, 4).toString(), 'PNG');
});
test('microphone stream', async () => {
  const app = await connect();
  const upload = async () => {
    const [path] = await (await app.upload_files(LAB, [new File([wav], 'audio.wav')])).files;
    return { path, orig_name: 'audio.wav', is_stream: true, meta: { _type: 'gradio.FileData' } };
  };
  const job = app.submit('/mic', [await upload()]),
    seen = [];
  let sent = 1,
    ended = null;
  const fn = app.config.dependencies.find((d) => d.api_name === 'mic').id;
  for await (const event of job) {
    if (event.type === 'status' && (event.stage === 'error' || event.stage === 'complete')) {
      ended = event.stage;
      break;
    }
    if (event.type !== 'data') continue;
    seen.push(event.data.at(-1));
    if (sent < 3) {
      sent++;
      job.send_chunk({ data: [await upload(), null], fn_index: fn });
    } else break;
  }
  same([seen, ended], [['chunk 1', 'chunk 2', 'chunk 3'], null]);
  job.close_stream();
  await sleep(200);
  same((await app.predict('/echo', ['after'])).data, ['after']);
});
test('heartbeat', async () => {
  same(lab.config.connect_heartbeat, true);
  const reader = (await fetch(`${LAB}/gradio_api/heartbeat/${lab.session_hash}`)).body.getReader();
  same(Buffer.from((await reader.read()).value).toString(), 'data: ALIVE\n\n');
  await reader.cancel();
});
test('nothing that the client does not understand', async () => same(errors, []));

await done();
process.exit(0);
