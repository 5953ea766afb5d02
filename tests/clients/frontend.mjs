// frontend.mjs: Gradio's own front-end, as it lies in the wheel, in a browser against the server under test: its page and its files come
// from the wheel, all else from the server, as if the server had delivered it. Buttons are pressed as a user would.
import { existsSync, readFileSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { launch, complaints } from './browser.mjs';
import { suite, same, need, sleep } from './kit.mjs';

const { LAB, AUTH, IFACE, CACHE } = process.env;
const here = dirname(fileURLToPath(import.meta.url));
const wheel = join(CACHE, 'frontend');
const types = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.html': 'text/html',
};
const template = readFileSync(join(wheel, 'index.html'), 'utf8');
const { test, done } = suite('frontend', 25000);

// The page of the wheel with the config and the API info that stand in the server's own page.
function page_of(own) {
  const window = {};
  for (const [, script] of own.matchAll(/<script[^>]*>(.*?)<\/script>/gs)) {
    if (!/window\.gradio_(config|api_info)\s*=/.test(script)) continue;
    try {
      runInNewContext(script, { window });
    } catch {} // what comes behind the values needs a browser
  }
  need(window.gradio_config, 'there is no window.gradio_config in the page of the server');
  const text = (value) => JSON.stringify(value ?? null).replaceAll('<', '\\u003c');
  const values = {
    'config | toorjson': text(window.gradio_config),
    'gradio_api_info | toorjson': text(window.gradio_api_info),
    "config.get('root', '') | toorjson": text(window.gradio_config.root ?? ''),
  };
  return template.replace(
    /\{\{ *(.*?) *\}\}/g,
    (_, expression) =>
      values[expression] ?? /default\('(.*?)'\)|'([^']*)'\)$/.exec(expression)?.slice(1).find(Boolean) ?? '',
  );
}

async function open(context, base) {
  const page = await context.newPage();
  const said = complaints(page);
  await page.route(
    (url) => url.origin !== new URL(base).origin,
    (route) => route.abort(),
  ); // nothing from elsewhere
  await page.route(
    (url) => url.origin === base && /^\/(assets|static)\//.test(url.pathname),
    (route) => {
      const path = join(wheel, normalize(new URL(route.request().url()).pathname));
      return existsSync(path)
        ? route.fulfill({ body: readFileSync(path), contentType: types[extname(path)] ?? 'application/octet-stream' })
        : route.fulfill({ status: 404 });
    },
  );
  await page.route(
    (url) => url.origin === base && url.pathname === '/',
    async (route) => {
      const own = await route.fetch();
      return route.fulfill({ body: page_of(await own.text()), contentType: 'text/html; charset=utf-8' });
    },
  );
  await page.goto(base + '/');
  return { page, said };
}

const browser = await launch({ microphone: join(here, '../data/audio/today.wav') });
const context = await browser.newContext({ permissions: ['microphone'] });
const { page, said } = await open(context, LAB);
const button = (name) => page.getByRole('button', { name, exact: true });
const box = (label) => page.getByLabel(label, { exact: true }).first();
const value = async (label, want, ms = 8000) => {
  const end = Date.now() + ms;
  let got;
  do {
    got = await box(label).inputValue();
    if (want instanceof RegExp ? want.test(got) : got === want) return;
    await sleep(30);
  } while (Date.now() < end);
  throw new Error(`${label}: expected ${want}, got ${got}`);
};
const press = async (name, text) => {
  if (text !== undefined) await box('Text').fill(text);
  await button(name).click();
};
const toast = (text) => page.getByTestId('toast-body').filter({ hasText: text }).first();
const block = (label) => page.locator('.block', { has: page.getByText(label, { exact: true }) }).last();
const clear_toasts = async () => {
  for (const close of await page.getByTestId('toast-close').all()) await close.click({ timeout: 1000 }).catch(() => {});
};

test('page is drawn', async () => {
  await button('badchain').waitFor({ timeout: 20000 });
  same(await page.title(), 'Lab');
});
test('load event', () => value('Out 2', 'loaded'));
test('echo', async () => {
  await press('echo', 'grüße 🎱 <b>x</b>');
  await value('Out', 'grüße 🎱 <b>x</b>');
});
test('echo again', async () => {
  await press('echo', 'second');
  await value('Out', 'second');
});
test('generator', async () => {
  const seen = new Set();
  await press('count');
  for (let i = 0; i < 200 && !seen.has('0 1 2 '); i++) {
    seen.add(await box('Out').inputValue());
    await sleep(10);
  }
  need(
    ['0 ', '0 1 ', '0 1 2 '].every((v) => seen.has(v)),
    `values seen: ${JSON.stringify([...seen])}`,
  );
  await block('Json').getByText('items').first().waitFor({ timeout: 5000 });
});
test('progress', async () => {
  await press('progress');
  await page
    .getByText(/Working/)
    .first()
    .waitFor({ timeout: 5000 });
  await value('Out', 'done 3');
});
test('toasts', async () => {
  await press('warn', 'w');
  await Promise.all(['an info', 'a warning', 'a success'].map((text) => toast(text).waitFor({ timeout: 5000 })));
  await value('Out', 'w');
  await clear_toasts();
});
test('error', async () => {
  await press('fail', 'x');
  await toast('the ball is broken').waitFor({ timeout: 5000 });
  await clear_toasts();
});
test('internal error tells nothing', async () => {
  await press('crash', 'x');
  await page.getByText('Error', { exact: true }).first().waitFor({ timeout: 5000 });
  same(await page.getByText('secret detail').count(), 0);
  await clear_toasts();
});
test('error after values', async () => {
  await press('failgen', 'x');
  await toast('late failure').waitFor({ timeout: 5000 });
  await clear_toasts();
});
test('works after errors', async () => {
  await press('echo', 'fine');
  await value('Out', 'fine');
});
test('State', async () => {
  for (const n of ['1', '2', '3']) {
    await press('counter');
    await value('Out', n);
  }
});
test('cancel', async () => {
  await page.locator('input[type=number]').first().fill('60');
  await press('count');
  await value('Out', /^0 1 /);
  await press('stop');
  await sleep(600);
  const stopped = await box('Out').inputValue();
  await sleep(800);
  same(await box('Out').inputValue(), stopped);
  await page.locator('input[type=number]').first().fill('3');
  await press('echo', 'after the cancel');
  await value('Out', 'after the cancel');
});
test('stepper writes its own input', async () => {
  await press('stepper');
  const end = Date.now() + 8000;
  while ((await page.locator('input[type=number]').first().inputValue()) !== '2') {
    need(Date.now() < end, 'N does not become 2');
    await sleep(30);
  }
  await page.locator('input[type=number]').first().fill('3');
});
test('unqueued function', async () => {
  await press('fast', 'q');
  await value('Out', 'fast q');
});
test('batch', async () => {
  await press('batch', 'b');
  await value('Out', 'B/1');
});
test('chain', async () => {
  await press('chain1', 'c');
  await value('Out', 'c');
  await value('Out 2', 'c!');
});
test('chain after a failure', async () => {
  await press('badchain', 'c');
  await value('Out 2', 'recovered');
  await clear_toasts();
});
test('file', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'lab-')), 'my notes.txt');
  writeFileSync(path, 'from the browser');
  await block('File in').locator('input[type=file]').setInputFiles(path);
  await block('File in').getByText('my notes').first().waitFor({ timeout: 8000 });
  await press('file_echo');
  const link = block('File out').locator('a[href*="file="]').first();
  await link.waitFor({ timeout: 8000 });
  same(
    await page.evaluate((url) => fetch(url).then((r) => r.text()), await link.getAttribute('href')),
    'from the browser',
  );
});
test('audio', async () => {
  await block('Audio in').locator('input[type=file]').setInputFiles(join(here, '../data/audio/today.wav'));
  await block('Audio in')
    .locator('audio[src*="file="], [data-testid*="waveform"]')
    .first()
    .waitFor({ timeout: 8000, state: 'attached' });
  await press('audio_echo');
  await block('Audio out')
    .locator('audio[src*="file="], [data-testid*="waveform"]')
    .first()
    .waitFor({ timeout: 8000, state: 'attached' });
});
test('gallery', async () => {
  await press('gallery_stream');
  const images = block('Gallery').locator('img[src*="file="]');
  await images.first().waitFor({ timeout: 8000 });
  const end = Date.now() + 5000;
  while (!(await images.evaluateAll((all) => all.length > 0 && all.every((i) => i.complete && i.naturalWidth === 8)))) {
    need(Date.now() < end, 'no picture is shown');
    await sleep(50);
  }
  await block('Gallery').getByText('two').first().waitFor({ timeout: 5000 });
});
test('streamed audio plays', async () => {
  await press('tone');
  const end = Date.now() + 12000;
  let best = { time: 0 };
  while (best.time < 2) {
    best = await page.evaluate(
      () =>
        [...document.querySelectorAll('audio')]
          .map((a) => ({ time: a.currentTime, error: a.error?.message, paused: a.paused }))
          .sort((a, b) => b.time - a.time)[0] ?? { time: 0 },
    );
    need(Date.now() < end, `the sound stands at ${JSON.stringify(best)}`);
    await sleep(100);
  }
});
test('property update', async () => {
  await press('update', 'new text');
  const renamed = page.getByLabel('Renamed', { exact: true }).first();
  await renamed.waitFor({ timeout: 5000 });
  same([await renamed.inputValue(), await renamed.isEditable()], ['new text', false]);
});
test('microphone', async () => {
  const mic = block('Mic stream');
  await mic
    .getByRole('button', { name: /record/i })
    .first()
    .click();
  const out = page
    .getByLabel('Renamed', { exact: true })
    .or(page.getByLabel('Out 2', { exact: true }))
    .first();
  const end = Date.now() + 12000;
  while (!/^chunk ([3-9]|\d\d)/.test(await out.inputValue())) {
    need(Date.now() < end, `Out 2 is ${await out.inputValue()}`);
    await sleep(100);
  }
  await mic.getByRole('button', { name: /stop/i }).first().click();
  await press('echo', 'after the microphone');
  await value('Out', 'after the microphone');
});
test('no complaints', () => {
  // favicon and fonts are for looks; the client's exception is what it makes of a cancel's empty output, and a failed run of an unqueued function is told as a 500
  const real = said.filter(
    (s) =>
      !/Unexpected client exception|favicon|fonts?|theme\.css|manifest|ERR_FAILED|Failed to load resource/i.test(s),
  );
  same(real, []);
});
test('interface', async () => {
  const { page: other } = await open(context, IFACE);
  await other.getByRole('button', { name: 'Submit' }).waitFor({ timeout: 15000 });
  await other.getByText('a blue square').first().click();
  const end = Date.now() + 5000;
  while ((await other.getByLabel('Prompt', { exact: true }).first().inputValue()) !== 'a blue square') {
    need(Date.now() < end, 'the example does not fill the field');
    await sleep(50);
  }
  await other.getByRole('button', { name: 'Submit' }).click();
  await other.locator('img[src*="file="]').nth(1).waitFor({ timeout: 8000 });
  await other.getByRole('button', { name: 'Clear' }).first().click();
  const clear = Date.now() + 5000;
  while ((await other.getByLabel('Prompt', { exact: true }).first().inputValue()) !== '') {
    need(Date.now() < clear, 'Clear does not clear');
    await sleep(50);
  }
  await other.close();
});
test('login', async () => {
  const { page: other } = await open(context, AUTH);
  await other.getByText('Say the word').first().waitFor({ timeout: 15000 });
  await other.locator('input[type=text], textarea').first().fill('admin');
  await other.locator('input[type=password]').first().fill('secret');
  await other.getByRole('button', { name: /login/i }).first().click();
  await other.getByRole('button', { name: 'echo', exact: true }).waitFor({ timeout: 15000 });
  await other.getByLabel('Text', { exact: true }).first().fill('in');
  await other.getByRole('button', { name: 'echo', exact: true }).click();
  const end = Date.now() + 5000;
  while ((await other.getByLabel('Out', { exact: true }).first().inputValue()) !== 'in') {
    need(Date.now() < end, 'no answer');
    await sleep(50);
  }
  await other.close();
});

await done();
if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT, fullPage: true });
await browser.close();
process.exit(0);
