/* vec.c - functions of each element and softmax, against the C library in double. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "kernels/c.h"

enum { MOST = 200, LONG = 1536 };

enum op { GELU, GELU_TANH, SILU_MUL, TANH_SIGMOID, TANH_V, LEAKY, ADD, SNAKE, N_OPS };
static const float SLOPE = 0.1f;

static void call(const struct m8__kernels *k, enum op op, float *dst, const float *a, const float *b, int n)
{
    switch (op) {
    case GELU: k->gelu(dst, a, n); break;
    case GELU_TANH: k->gelu_tanh(dst, a, n); break;
    case SILU_MUL: k->silu_mul(dst, a, b, n); break;
    case TANH_SIGMOID: k->tanh_sigmoid(dst, a, b, n); break;
    case TANH_V: k->tanh_v(dst, a, n); break;
    case LEAKY: k->leaky(dst, a, n, SLOPE); break;
    case ADD: memmove(dst, a, n * sizeof *dst), k->add(dst, b, n); break;
    case SNAKE: k->snake(dst, a, b, b, n); break;
    case N_OPS: break;
    }
}

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* The value and the tolerance. */
static double want(enum op op, double a, double b, double *tol)
{
    double y = 0;
    *tol = 0;
    switch (op) {
    case GELU:
        *tol = 1.5e-7 * fabs(a);
        y = 0.5 * a * erfc(-a * M_SQRT1_2);
        break;
    case GELU_TANH:
        y = a * sigmoid(2 * 0.79788456080286536 * (a + 0.044715 * a * a * a));
        *tol = 3e-7 * fabs(a);
        break;
    case SILU_MUL:
        y = a * sigmoid(a) * b;
        *tol = 4e-7 * fabs(y);
        break;
    case TANH_SIGMOID:
        y = tanh(a) * sigmoid(b);
        *tol = 6e-7 * fabs(y);
        break;
    case TANH_V:
        y = tanh(a);
        *tol = 3e-7 * fabs(y);
        break;
    case LEAKY:
        y = a < 0 ? (float)(a * SLOPE) : a;
        break;
    case ADD:
        y = (float)(a + b);
        break;
    case SNAKE:
        y = a + b * pow(sin(M_PI * fmod(a * b, 1)), 2);
        *tol = fabs(b) * (2e-7 * fabs(a * b) + 3e-7) + 1.2e-7 * fabs(y);
        break;
    case N_OPS:
        break;
    }
    *tol += 1e-37; /* what is smaller may be taken as zero */
    return y;
}

static void elements(const struct m8__kernels *k, enum op op, int n, bool odd)
{
    float *a = check_mem(n * sizeof *a), *b = check_mem(n * sizeof *b), *y = check_mem(n * sizeof *y);
    for (int i = 0; i < n; i++) {
        a[i] = odd ? check_odd_float() : check_normal() * (i % 3 ? 1 : 6);
        b[i] = odd ? check_odd_float() : check_normal() * (i % 2 ? 1 : 5);
    }
    call(k, op, y, a, b, n);
    for (int i = 0; i < n; i++) {
        double tol, v = want(op, a[i], b[i], &tol);
        if (!odd) {
            check_near(y[i], v, tol, "y", i, 0);
        } else if (isnan(a[i]) && !isnan(y[i])) {
            check_fail("NaN became %g", y[i]);
        } else if (isfinite(a[i]) && (op == GELU || op == TANH_V || op == LEAKY)) {
            check_near(y[i], v, tol, "odd y", (int)bits_of_float(a[i]), 0);
        } else if (fabsf(a[i]) < 1e8f && fabsf(b[i]) < 1e8f && !isfinite(y[i])) {
            check_fail("%g and %g became %g", a[i], b[i], y[i]);
        }
    }
    float *again = check_mem(n * sizeof *a); /* in place; and each value wherever it stands */
    memcpy(again, a, n * sizeof *a);
    call(k, op, again, again, b, n);
    check_same(again, y, n * sizeof *y, "in place, n =", n);
    for (int i = 0; i < n; i++) {
        float one;
        call(k, op, &one, a + i, b + i, 1);
        if (!isnan(one))
            check_same(&one, y + i, sizeof one, "alone, element", i);
    }
    check_let_go();
}

/* What is rounded to bfloat16: as to_bf16, but a fused sum may have rounded the other way before. */
static void near_bf16(const struct m8__kernels *k, const uint16_t *got, const float *y, int n, const char *what)
{
    uint16_t *want = check_mem(n * sizeof *want);
    k->to_bf16(want, y, n);
    for (int i = 0; i < n; i++) {
        double half = isnormal(y[i]) ? ldexp(1, ilogb(y[i]) - 8) : FLT_MIN; /* hardware may take a denormal as zero */
        bool tie = fabs((double)y[i] - from_bf16(want[i])) > half * (1 - 0x1p-10);
        check_near(from_bf16(got[i]), from_bf16(want[i]), tie || half == FLT_MIN ? 2 * half : 0, what, n, i);
    }
}

static void to_bf16(const struct m8__kernels *k, bool snake)
{
    for (int n = 0; n < MOST; n += check_int(1, 5)) {
        float *x = check_mem(n * sizeof *x), *freq = check_mem(n * sizeof *x), *by = check_mem(n * sizeof *x), *y = check_mem(n * sizeof *x);
        uint16_t *got = check_mem(n * sizeof *got);
        for (int i = 0; i < n; i++) {
            x[i] = i % 9 ? 3 * check_normal() : 1e4f * check_odd_float();
            freq[i] = check_normal();
            by[i] = check_normal();
            y[i] = x[i] - by[i];
        }
        if (snake) {
            k->snake(y, x, freq, by, n);
            k->snake_bf16(got, x, freq, by, n);
        } else {
            k->mix_bf16(got, x, by, -1, n);
        }
        near_bf16(k, got, y, n, snake ? "snake_bf16" : "mix_bf16");
        check_let_go();
    }
}

static void rows(const struct m8__kernels *k, int n, float scale, int sort)
{
    float *x = check_mem(n * sizeof *x), *y = check_mem(n * sizeof *y);
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) {
        x[i] = (sort == 1 && check_int(0, 1)) || sort == 2 ? -INFINITY : 10 * check_normal();
        if (sort == 3)
            x[i] *= 30;
        max = fmax(max, (double)x[i] * scale);
    }
    memcpy(y, x, n * sizeof *y);
    k->softmax(y, n, scale);
    if (max > -INFINITY)
        for (int i = 0; i < n; i++)
            sum += exp((double)x[i] * scale - max);
    for (int i = 0; i < n; i++) { /* an argument of e rounds by e * eps / 2, and its exponential by as much */
        double e = (double)x[i] * scale - max, v = sum > 0 ? exp(e) / sum : 0;
        check_near(y[i], v, v > 0 ? v * (6e-7 + 1.2e-7 * (fabs(max) + fabs(e))) + 1e-37 : 1e-37, "softmax", n, i);
    }
    check_let_go();
}

static void softmax(const struct m8__kernels *k)
{
    for (int n = 0; n < 2 * MOST; n += check_int(1, 9))
        for (int sort = 0; sort < 4; sort++)
            rows(k, n, sort % 2 ? 1 : 0.125f, sort);
    float x[40] = {0};
    x[39] = NAN;
    k->softmax(x, 40, 1);
    if (!isnan(x[39]) || !isnan(x[0]))
        check_fail("NaN in a row was lost");
}

struct arg {
    const struct m8__kernels *k;
    enum op op;
    float *y, *a, *b;
};

static void call_op(void *p)
{
    struct arg *a = p;
    if (a->op == N_OPS + 2)
        a->k->mix_bf16((uint16_t *)a->y, a->a, a->b, -1, LONG);
    else if (a->op == N_OPS + 1)
        a->k->snake_bf16((uint16_t *)a->y, a->a, a->b, a->b, LONG);
    else if (a->op == N_OPS)
        a->k->softmax(a->y, LONG, 1);
    else
        call(a->k, a->op, a->y, a->a, a->b, LONG);
}

void check_vec(const struct m8__kernels *k)
{
    const struct {
        check_fn fn;
        const char *name;
    } ops[] = {{(check_fn)k->gelu, "gelu"}, {(check_fn)k->gelu_tanh, "gelu_tanh"}, {(check_fn)k->silu_mul, "silu_mul"},
               {(check_fn)k->tanh_sigmoid, "tanh_sigmoid"}, {(check_fn)k->tanh_v, "tanh_v"}, {(check_fn)k->leaky, "leaky"},
               {(check_fn)k->add, "add"}, {(check_fn)k->snake, "snake"}, {(check_fn)k->softmax, "softmax"},
               {(check_fn)k->snake_bf16, "snake_bf16"}, {(check_fn)k->mix_bf16, "mix_bf16"}};
    for (int op = 0; op <= N_OPS + 2; op++) {
        if (!check_func(ops[op].fn, ops[op].name))
            continue;
        if (check_benching) {
            struct arg a = {k, (enum op)op, check_mem(LONG * 4), check_mem(LONG * 4), check_mem(LONG * 4)};
            for (int i = 0; i < LONG; i++)
                a.y[i] = a.a[i] = a.b[i] = check_normal();
            check_bench("1536", call_op, &a, LONG, "G/s    ", 0);
        } else if (op == N_OPS) {
            softmax(k);
        } else if (op > N_OPS) {
            to_bf16(k, op == N_OPS + 1);
        } else {
            for (int n = 0; n < MOST; n += check_int(1, 5))
                for (int odd = 0; odd < 2; odd++)
                    elements(k, (enum op)op, n, odd);
        }
    }
}
