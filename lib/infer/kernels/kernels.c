/* kernels.c - the tables of kernels, one for each set of flags. */
#include <pthread.h>

#include "kernels/c.h"
#include "kernels/kernels.h"

enum { ALL = M8_CPU_AVX2 | M8_CPU_AVX512 | M8_CPU_AVX512_BF16 | M8_CPU_NEON | M8_CPU_DOTPROD };

static struct m8__kernels tables[ALL + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

void m8__kernels_c(struct m8__kernels *k)
{
    k->name = "c";
    m8__gemm_init(k);
    m8__quant_init(k);
    m8__vec_init(k);
    m8__norm_init(k);
    m8__repack_init(k);
}

static void fill(void)
{
    for (int f = 0; f <= ALL; f++) {
        m8__kernels_c(&tables[f]);
#if defined(__x86_64__)
        if (f & M8_CPU_AVX2)
            m8__kernels_avx2(&tables[f]);
        if (f & M8_CPU_AVX512)
            m8__kernels_avx512(&tables[f], f);
#elif defined(__aarch64__)
        if (f & M8_CPU_NEON)
            m8__kernels_neon(&tables[f], f);
#endif
    }
}

const struct m8__kernels *m8__kernels_get(int cpu_flags)
{
    pthread_once(&once, fill);
    return &tables[cpu_flags & ALL];
}
