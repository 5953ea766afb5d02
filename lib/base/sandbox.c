/* What a worker may still ask of the kernel once it has loaded: a seccomp filter over all of its threads, for good.
 *
 * Allowed, and why:
 *     its socket             read, write, sendto (only on descriptors it has: no new ones can be made but those below), poll, close
 *     memory                 mmap, mprotect, munmap, mremap, madvise, brk: never executable
 *     threads                clone of threads (not of processes), futex and what the C library does around them
 *     time, chance, itself   clocks, sleep, getrandom, getpid, signals to itself (abort), affinity, exit
 *     files                  fstat and lseek; where the service says that it opens files (espeak-ng reads dictionaries when a text changes
 *                            its language): open for reading, stat of a path
 * Everything else fails with EPERM: sockets, exec, fork, ptrace, writing, deleting and renaming files, reading them, mounting, ...
 * EPERM, not death: a library that asks for something harmless that is not on the list must be able to go on without it.
 * clone3 fails with ENOSYS, so that the C library falls back on clone, whose flags a filter can see. */
#include "child.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* a sanitizer's shadow is terabytes of it */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

/* What can be written to and is not shared: of address space the C library reserves much more than it uses. */
static m8_status limit_memory(size_t most, m8_error *err)
{
#ifndef SANITIZED
    if (most && setrlimit(RLIMIT_DATA, &(struct rlimit){ most, most })) return m8_fail_errno(err, M8_E_IO, "limiting memory");
#else
    (void)most;
    (void)err;
#endif
    return M8_OK;
}

#ifdef ARCH

enum { AT_EMPTY = 0x1000 /* fstat is this flag of fstatat */, MOST_CODE = 256 };

static const int always[] = {
    SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_sendto, SYS_ppoll, SYS_close, SYS_fstat, SYS_lseek,
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk,
    SYS_futex, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_set_tid_address, SYS_exit, SYS_exit_group, SYS_membarrier,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu, SYS_gettid, SYS_getpid,
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom, SYS_getrusage, SYS_sysinfo,
    SYS_uname,
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_time
    SYS_time, SYS_arch_prctl,
#endif
};

struct program {
    struct sock_filter code[MOST_CODE];
    unsigned short n;
};

static void add(struct program *p, unsigned short code, uint32_t k, int yes, int no)
{
    if (p->n < MOST_CODE) p->code[p->n++] = (struct sock_filter){ code, (unsigned char)yes, (unsigned char)no, k };
}

static void load(struct program *p, size_t at) { add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0); }
static void give(struct program *p, uint32_t what) { add(p, BPF_RET | BPF_K, what, 0, 0); }
#define REFUSE(e) (SECCOMP_RET_ERRNO | ((e) & SECCOMP_RET_DATA))
#define NR offsetof(struct seccomp_data, nr)
#define ARG(i) (offsetof(struct seccomp_data, args) + 8 * (i)) /* its low half: both machines are little-endian */

static void allow(struct program *p, int nr)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
    give(p, SECCOMP_RET_ALLOW);
}

/* Allowed if an argument has none (or all, `must`) of these bits. The accumulator holds the number before and, if it is another, behind. */
static void allow_bits(struct program *p, int nr, int arg, uint32_t bits, bool must)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 4);
    load(p, ARG(arg));
    add(p, BPF_JMP | BPF_JSET | BPF_K, bits, must ? 1 : 0, must ? 0 : 1);
    give(p, REFUSE(EPERM));
    give(p, SECCOMP_RET_ALLOW);
}

static void write_program(struct program *p, bool opens_files)
{
    const uint32_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    give(p, SECCOMP_RET_KILL_PROCESS);
    load(p, NR); /* numbers of the x32 kind match nothing */
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) allow(p, always[i]);
    allow_bits(p, SYS_mmap, 2, PROT_EXEC, false);
    allow_bits(p, SYS_mprotect, 2, PROT_EXEC, false);
    allow_bits(p, SYS_clone, 0, CLONE_THREAD, true);
    if (opens_files) {
        allow_bits(p, SYS_openat, 2, writing, false);
#ifdef SYS_open
        allow_bits(p, SYS_open, 1, writing, false);
#endif
        allow(p, SYS_newfstatat);
    } else {
        allow_bits(p, SYS_newfstatat, 3, AT_EMPTY, true);
    }
    add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
    give(p, REFUSE(ENOSYS));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 4);
    load(p, ARG(0));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0);
    give(p, REFUSE(EPERM));
    give(p, SECCOMP_RET_ALLOW);
    give(p, REFUSE(EPERM));
}

m8_status m8__sandbox(bool opens_files, size_t most_memory, m8_error *err)
{
    struct program p = { .n = 0 };
    write_program(&p, opens_files);
    if (p.n == MOST_CODE) return m8_fail(err, M8_E_INTERNAL, "the list of system calls is too long");
    m8_status st = limit_memory(most_memory, err);
    if (st) return st;
    struct sock_fprog all = { p.n, p.code };
    long got = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &all);
    if (got > 0) errno = EBUSY; /* a thread that could not be included */
    return got ? m8_fail_errno(err, M8_E_UNSUPPORTED, "locking the process in (seccomp)") : M8_OK;
}

#else

m8_status m8__sandbox(bool opens_files, size_t most_memory, m8_error *err)
{
    (void)opens_files;
    m8_status st = limit_memory(most_memory, err);
    return st ? st : m8_fail(err, M8_E_UNSUPPORTED, "no list of system calls for this processor");
}

#endif
