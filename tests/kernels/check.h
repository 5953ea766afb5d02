/* check.h - compares every version of every kernel with its definition in double precision: values within a tolerance scaled by the
 * terms, rows and panels alone with the same in company (bit for bit), nothing written or read outside. After dav1d's checkasm. */
#ifndef M8_CHECK_H
#define M8_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* One test looks at the kernels of a table; check_func() tells which of them are new in it. */
void check_gemm(const struct m8__kernels *k);
void check_pairs(const struct m8__kernels *k);
void check_repack(const struct m8__kernels *k);
void check_quant(const struct m8__kernels *k);
void check_vec(const struct m8__kernels *k);
void check_norm(const struct m8__kernels *k);

typedef void (*check_fn)(void);
/* True if this function was in no table before and is asked for; the name then stands for it in what is printed. */
bool check_func(check_fn fn, const char *name);
#define CHECK_FUNC(k, field) check_func((check_fn)(k)->field, #field)

/* Memory that ends at a page nobody may touch, filled with a pattern; what lies before it must stay as it is, which check_let_go()
 * looks at; it gives all of it back. */
void *check_mem(size_t size);
void check_let_go(void);
/* Says what is wrong and counts it. */
void check_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* |got - want| <= tol, or both NaN, or the same infinity. */
void check_near(float got, double want, double tol, const char *what, int i, int j);
/* Bytes that are to be the same. */
void check_same(const void *got, const void *want, size_t size, const char *what, int i);
/* These bytes still have the pattern of check_mem. */
void check_untouched(const void *at, size_t size, const char *what);

uint32_t check_random(void);
int check_int(int from, int to);         /* both included */
float check_float(float from, float to);
float check_normal(void);                /* about normally distributed */
float check_odd_float(void);             /* denormals, huge, infinities, NaN among them */

/* With --bench: time `call` and print `work` of it a second (in 1e9 units), and the share of the limit if one is given. */
extern bool check_benching;
void check_bench(const char *what, void (*call)(void *), void *arg, double work, const char *unit, double limit);

#endif
