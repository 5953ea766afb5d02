/** torture.h - run a piece of code again and again with its 1st, 2nd, ... allocation or system call failing.
 *
 *      static m8_status load(void *arg, m8_error *err)      everything: make, use, undo; the same work on every run
 *      {
 *          gguf *g;
 *          m8_status st = gguf_open(&g, arg, err);
 *          if (!st) gguf_free(g);
 *          return st;
 *      }
 *      static void test_torture(void **s) { torture(load, path); }        meson: dependencies: torture
 *
 *  Checked on every run: no crash, no block, descriptor or mapping left behind, and a clean status: M8_OK (the failure was
 *  survived), or a code that *err has too, with one line of text; a failed allocation gives M8_E_NOMEM or M8_OK, nothing else.
 *  With nothing failing, fn must return M8_OK. What fails is what goes through the m8_sys table, on any thread. To
 *  have jansson fail too, call json_set_alloc_funcs(m8_malloc, m8_free) first. At most MAGIC8_TORTURE_MAX sites (default
 *  2000) are hit, evenly spread, so keep the work small. fn may assert, but only what holds whatever failed. */
#ifndef TORTURE_H
#define TORTURE_H

#include <m8/base.h>

typedef m8_status torture_fn(void *arg, m8_error *err);

/** Returns the number of sites that were made to fail. Three passes: one call fails; every allocation from one on fails;
 *  nothing fails, but reads and writes move at most 7 bytes and every third one is interrupted (EINTR). */
int torture(torture_fn *fn, void *arg);

/** By hand: the same counting table, failing the n-th call from now on (0: none); and what is alive since the last start. */
void torture_start(int fail_at);
int torture_stop(void); /* the C library's table again; returns how many calls there were; fails the test on a leak */

#endif
