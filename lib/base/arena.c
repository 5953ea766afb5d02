/* Arena: blocks in a chain; marks give back what was taken since, and blocks stay for reuse. */
#include <m8/base.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__ /* so that it finds use after m8_arena_back, and writing past what was taken */
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

#define ALIGN 64

struct block {
    struct block *next;
    size_t size, used; /* of data */
    _Alignas(ALIGN) unsigned char data[];
};

struct m8_arena {
    struct block *first, *now; /* blocks behind `now` are empty, kept for reuse */
    size_t block, held;
};

m8_arena *m8_arena_new(size_t block)
{
    m8_arena *a = m8_calloc(1, sizeof *a);
    if (a) a->block = block ? block : 64 * 1024;
    return a;
}

static struct block *add_block(m8_arena *a, size_t n)
{
    size_t size = n > a->block ? n : a->block, all;
    if (__builtin_add_overflow(size, sizeof(struct block), &all)) return NULL;
    struct block *b = m8_aligned(ALIGN, all);
    if (!b) return NULL;
    b->size = size;
    b->used = 0;
    ASAN_POISON_MEMORY_REGION(b->data, size);
    struct block **at = a->now ? &a->now->next : &a->first;
    b->next = *at;
    *at = b;
    a->held += all;
    return b;
}

void *m8_arena_raw(m8_arena *a, size_t n)
{
    if (n > SIZE_MAX - 2 * ALIGN) return NULL;
    size_t asked = n;
    n = n ? (n + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    struct block *b = a->now ? a->now : a->first;
    while (b && b->size - b->used < n) { /* what is left of a block that is too small is passed over */
        b = b->next;
        if (b) b->used = 0;
    }
    if (!b) b = add_block(a, n); /* behind the block in use, before the ones kept */
    if (!b) return NULL;
    a->now = b;
    void *p = b->data + b->used;
    b->used += n;
    ASAN_UNPOISON_MEMORY_REGION(p, asked);
    return p;
}

void *m8_arena_take(m8_arena *a, size_t n)
{
    void *p = m8_arena_raw(a, n);
    if (p) memset(p, 0, n);
    return p;
}

char *m8_arena_strndup(m8_arena *a, const char *s, size_t n)
{
    char *p = n < SIZE_MAX ? m8_arena_raw(a, n + 1) : NULL;
    if (p) {
        if (n) memcpy(p, s, n);
        p[n] = 0;
    }
    return p;
}

m8_arena_mark m8_arena_here(const m8_arena *a)
{
    return (m8_arena_mark){ a->now, a->now ? a->now->used : 0 };
}

void m8_arena_back(m8_arena *a, m8_arena_mark mark)
{
    a->now = mark.block;
    if (a->now) {
        a->now->used = mark.used;
        ASAN_POISON_MEMORY_REGION(a->now->data + mark.used, a->now->size - mark.used);
    }
    for (struct block *b = a->now ? a->now->next : a->first; b; b = b->next) {
        b->used = 0;
        ASAN_POISON_MEMORY_REGION(b->data, b->size);
    }
}

void m8_arena_clear(m8_arena *a) { m8_arena_back(a, (m8_arena_mark){ NULL, 0 }); }
size_t m8_arena_size(const m8_arena *a) { return a->held; }

void m8_arena_free(m8_arena *a)
{
    if (!a) return;
    for (struct block *b = a->first, *next; b; b = next) {
        next = b->next;
        ASAN_UNPOISON_MEMORY_REGION(b->data, b->size); /* a replaced allocator may use it again */
        m8_free(b);
    }
    m8_free(a);
}
