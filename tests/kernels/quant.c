/* quant.c - activations to bfloat16 and to int8 blocks: exact, the same bits from every version. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "kernels/c.h"

enum { MOST = 700, ROW = 576 };

static float *floats(int n, bool odd)
{
    float *x = check_mem(n * sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = odd ? check_odd_float() : check_normal();
    return x;
}

/* The nearest of the two neighbours; at the same distance the even one. */
static uint16_t nearest_bf16(float f)
{
    uint16_t down = (uint16_t)(bits_of_float(f) >> 16), up = (uint16_t)(down + 1);
    double lo = from_bf16(down), hi = isinf(from_bf16(up)) ? copysign(0x1p128, f) : from_bf16(up);
    if (isinf(f) || f == lo)
        return down;
    double to_lo = fabs(f - lo), to_hi = fabs(hi - f);
    return to_lo < to_hi || (to_lo == to_hi && down % 2 == 0) ? down : up;
}

static void bf16_case(const struct m8__kernels *k, int n, bool odd)
{
    float *x = floats(n, odd);
    for (int i = 0; i < n && !odd; i += 5)
        x[i] = float_of_bits((bits_of_float(x[i]) & 0xffff0000) | 0x8000); /* ties */
    uint16_t *y = check_mem(n * sizeof *y);
    k->to_bf16(y, x, n);
    for (int i = 0; i < n; i++) {
        float got = from_bf16(y[i]), want = isnan(x[i]) ? NAN : from_bf16(nearest_bf16(x[i]));
        bool tiny = fabsf(x[i]) < FLT_MIN && fabsf(got) <= FLT_MIN; /* hardware may take a denormal as zero */
        check_near(got, want, tiny ? FLT_MIN : 0, "to_bf16", i, 0);
    }
    check_let_go();
}

static void row_case(const struct m8__kernels *k, int n, int sort, bool two)
{
    const float most = two ? 127 * 256 : 127;
    float *x = floats(n, sort == 1);
    for (int i = 0; i < n && sort == 2; i++) /* blocks of zeros, and ties: 127 is the largest of its block */
        x[i] = i / QBLOCK % 2 ? 0 : i % QBLOCK ? (float)check_int(-126, 126) + 0.5f : 127;
    int nb = n / QBLOCK;
    int8_t *q = check_mem(n), *q2 = two ? check_mem(n) : NULL;
    float *d = check_mem(nb * sizeof *d), *s = check_mem(nb * sizeof *s);
    int32_t *sum = check_mem(nb * 2 * sizeof *sum);
    k->quant_row(q, q2, d, s, sum, x, n);
    for (int b = 0; b < nb; b++) {
        float max = 0;
        bool finite = true;
        int total[2] = {0};
        for (int i = b * QBLOCK; i < (b + 1) * QBLOCK; i++) {
            finite = finite && isfinite(x[i]);
            max = fmaxf(max, fabsf(x[i]));
        }
        bool none = !finite || max < 0x1p-100f;
        for (int i = b * QBLOCK; i < (b + 1) * QBLOCK; i++) {
            float want = none ? 0 : nearbyintf(x[i] * (most / max));
            int got = two ? 256 * q[i] + q2[i] : q[i];
            check_near((float)got, want, 0, "q", b, i % QBLOCK);
            total[i % QBLOCK / 16] += got;
        }
        if (finite)
            check_near(d[b], none ? 0 : max / most, 0, "d", b, 0);
        else if (isfinite(d[b]))
            check_fail("the scale of a block that is not finite is %g", d[b]);
        for (int h = 0; h < 2; h++)
            check_near((float)sum[2 * b + h], total[h], 0, "sum", b, h);
        check_near(s[b], d[b] * (float)(total[0] + total[1]), 0, "s", b, 0);
    }
    check_let_go();
}

struct arg {
    const struct m8__kernels *k;
    float *x, *d, *s;
    int8_t *q;
    uint16_t *h;
    int32_t *sum;
};

static void call_bf16(void *p)
{
    struct arg *a = p;
    a->k->to_bf16(a->h, a->x, ROW);
}

static void call_row(void *p)
{
    struct arg *a = p;
    a->k->quant_row(a->q, NULL, a->d, a->s, a->sum, a->x, ROW);
}

void check_quant(const struct m8__kernels *k)
{
    struct arg a = {.k = k};
    if (check_benching)
        a = (struct arg){k, floats(ROW, false), check_mem(ROW), check_mem(ROW), check_mem(ROW), check_mem(ROW * 2), check_mem(ROW * 2)};
    if (CHECK_FUNC(k, to_bf16)) {
        if (check_benching)
            check_bench("576", call_bf16, &a, ROW, "G/s    ", 0);
        for (int n = 0; n < MOST && !check_benching; n += check_int(1, 20))
            for (int odd = 0; odd < 2; odd++)
                bf16_case(k, n, odd);
    }
    if (CHECK_FUNC(k, quant_row)) {
        if (check_benching)
            check_bench("576", call_row, &a, ROW, "G/s    ", 0);
        for (int n = 0; n < MOST && !check_benching; n += QBLOCK)
            for (int sort = 0; sort < 3; sort++)
                row_case(k, n, sort, false), row_case(k, n, sort, true);
    }
}
