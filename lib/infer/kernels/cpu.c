/* cpu.c - what this processor has, as far as a kernel here makes use of it. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

static int has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static int detect(void)
{
    int f = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
        f |= M8_CPU_AVX2;
    if ((f & M8_CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        f |= M8_CPU_AVX512;
    if ((f & M8_CPU_AVX512) && __builtin_cpu_supports("avx512bf16"))
        f |= M8_CPU_AVX512_BF16;
    return f;
}
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static int detect(void)
{
    return M8_CPU_NEON | (getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? M8_CPU_DOTPROD : 0);
}
#else
static int detect(void)
{
    return 0;
}
#endif

int m8__cpu_flags(void)
{
    static atomic_int known = -1; /* the question is not cheap: in a virtual machine cpuid takes microseconds */
    int f = atomic_load_explicit(&known, memory_order_relaxed);
    if (f < 0) atomic_store_explicit(&known, f = detect(), memory_order_relaxed);
    const char *most = getenv("MAGIC8_CPU");
    if (!most)
        return f;
    if (!strcmp(most, "c"))
        return 0;
    if (!strcmp(most, "avx2"))
        return f & M8_CPU_AVX2;
    if (!strcmp(most, "avx512"))
        return f & (M8_CPU_AVX2 | M8_CPU_AVX512); /* without bf16 */
    return f;
}
