// What the JavaScript tests share: a line for each test.
import { isDeepStrictEqual } from 'node:util';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const short = (value) => {
  const s = JSON.stringify(value) ?? 'undefined';
  return s.length > 200 ? s.slice(0, 200) + '…' : s;
};
const line = (text) =>
  String(text)
    .replace(/[\x00-\x1f\x7f]+/g, ' ')
    .slice(0, 400);

export class Bad extends Error {}
export class Skip extends Error {}
export function need(truth, why) {
  if (!truth) throw new Bad(why);
}
export function same(got, want, what = '') {
  if (!isDeepStrictEqual(got, want)) throw new Bad(`${what && what + ': '}expected ${short(want)}, got ${short(got)}`);
}

// test(name, function) collects; done() runs those that the arguments name, all without arguments.
export function suite(prefix, limit = 30000) {
  const tests = [],
    only = process.argv.slice(2);
  const test = (name, run) => tests.push([`${prefix}/${name}`, run]);
  async function done(each = () => {}) {
    for (const [name, run] of tests) {
      if (only.length && !only.some((o) => name.includes(o))) continue;
      let timer;
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Bad(`it does not end within ${limit / 1000} s`)), limit);
      });
      try {
        await Promise.race([run(), late]);
        console.log(`ok ${name}`);
      } catch (error) {
        if (error instanceof Skip) console.log(`skip ${name}: ${line(error.message)}`);
        else
          console.log(
            `not ok ${name}: ${line(error instanceof Bad ? error.message : (error?.stack ?? JSON.stringify(error)))}`,
          );
      }
      clearTimeout(timer);
      await each(name);
    }
  }
  return { test, done };
}
