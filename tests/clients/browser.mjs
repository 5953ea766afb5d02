// A headless Chromium for the tests of pages: plays sound without being touched, and its microphone is a file.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.env.CACHE, 'node/package.json'));
const { chromium } = require('playwright-core');

// microphone: path of a WAV file that is heard again and again from the launch on ("%noloop" at its end: once).
export function launch({ microphone, args = [] } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-background-networking',
      '--no-proxy-server',
      '--use-fake-ui-for-media-stream',
      ...(microphone ? ['--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${microphone}`] : []),
      ...args,
    ],
  });
}

// What the page said that is a mistake: errors of scripts, and lines of the console of that level.
export function complaints(page) {
  const list = [];
  page.on('pageerror', (error) => list.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') list.push(`console: ${message.text()} ${message.location().url ?? ''}`);
  });
  return list;
}
