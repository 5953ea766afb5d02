/* Cut and changed files: every one is read or refused, and what is read lies within the file. Then: nothing but clean errors when
 * memory or a system call fails. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>

#include "torture.h"
#include "weights_help.h"

#define FLIPS 2000
#define CUTS 400

/* A file in memory of our own, page-aligned, with a page behind it that must not be touched. */
struct image {
    uint8_t *data;
    size_t size, span;
};

static bool load_image(struct image *m, const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &info)) return false;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    m->size = (size_t)info.st_size;
    m->span = (m->size + page - 1) / page * page + page;
    uint8_t *base = mmap(NULL, m->span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(base, MAP_FAILED);
    m->data = mmap(base, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0); /* changes stay here */
    assert_ptr_equal(m->data, base);
    close(fd);
    return true;
}

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* Where the file is structure and not data: what lies between the tensors. */
struct gap {
    size_t from, to;
};

static int by_place(const void *a, const void *b)
{
    const m8__tensor *x = *(const m8__tensor *const *)a, *y = *(const m8__tensor *const *)b;
    return x->data < y->data ? -1 : x->data > y->data;
}

static struct gap *find_gaps(const struct image *m, size_t *n)
{
    m8__weights *w = NULL;
    m8_error err = { 0 };
    if (m8__weights_open_memory(&w, m->data, m->size, "whole", &err)) fail_msg("%s", err.text);
    size_t count = m8__weights_count(w);
    const m8__tensor **list = m8_calloc(count, sizeof(void *));
    struct gap *gaps = m8_calloc(count + 1, sizeof *gaps);
    for (size_t i = 0; i < count; i++) list[i] = m8__weights_at(w, i);
    qsort(list, count, sizeof *list, by_place);
    size_t at = 0;
    *n = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t to = i < count ? (size_t)(list[i]->data - m->data) : m->size;
        if (i < count && (list[i]->data < m->data || list[i]->data >= m->data + m->size)) continue; /* collected values */
        if (to > at) gaps[(*n)++] = (struct gap){ at, to };
        if (i < count) at = to + list[i]->size;
    }
    m8_free(list);
    m8__weights_close(w);
    return gaps;
}

static bool try_open(const struct image *m, size_t size)
{
    m8__weights *w = NULL;
    m8_error err = { 0 };
    m8_status st = m8__weights_open_memory(&w, m->data, size, "damaged", &err);
    if (st) {
        assert_null(w);
        assert_int_equal(err.status, st);
        assert_int_equal(strncmp(err.text, "damaged: ", 9), 0);
        return false;
    }
    for (size_t i = 0; i < m8__weights_count(w); i++) {
        const m8__tensor *t = m8__weights_at(w, i);
        if (t->data >= m->data && t->data < m->data + m->size) assert_true(t->data + t->size <= m->data + size);
    }
    walk(w);
    m8__weights_close(w);
    return true;
}

static void damage(const char *path)
{
    struct image m = { 0 };
    if (!load_image(&m, path)) fail_msg("cannot read %s", path);
    size_t n_gaps;
    struct gap *gaps = find_gaps(&m, &n_gaps);
    int read = 0;
    for (int i = 0; i < FLIPS; i++) {
        struct gap g = gaps[next_random() % n_gaps];
        if (i % 2) g = gaps[0]; /* the header */
        uint8_t *p = m.data + g.from + next_random() % (g.to - g.from), old = *p;
        *p ^= (uint8_t)(1u << next_random() % 8);
        if (i % 3 == 0) *p = (uint8_t)next_random();
        read += try_open(&m, m.size);
        *p = old;
    }
    print_message("%s: %d of %d changed files still read\n", strrchr(path, '/') + 1, read, FLIPS);
    for (int i = 0; i < CUTS; i++) {
        struct gap g = gaps[i % 2 ? 0 : next_random() % n_gaps];
        size_t to = i % 4 ? g.from + next_random() % (g.to - g.from) : next_random() % m.size;
        assert_false(try_open(&m, to)); /* a file that is cut never passes */
    }
    assert_true(try_open(&m, m.size));
    m8_free(gaps);
    munmap(m.data, m.span);
}

static void test_small(void **state)
{
    damage(data_path("weights/small.gguf"));
    damage(data_path("weights/small.onnx"));
    damage(data_path("weights/ct2/model.bin"));
    damage(data_path("llama-tiny/model.safetensors"));
}

static void test_real(void **state)
{
    static const char *const NAMES[] = { "SmolLM2-135M-Instruct.Q4_1.gguf", "en_US-joe-medium.onnx", "whisper-base/model.bin",
                                         "whisper-tiny.en/model.bin" };
    char path[512];
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (model_path(path, sizeof path, NAMES[i])) damage(path);
}

static m8_status open_and_close(void *path, m8_error *err)
{
    m8__weights *w = NULL;
    m8_status st = m8__weights_open(&w, path, err);
    if (!st) walk(w);
    m8__weights_close(w);
    return st;
}

static void test_torture(void **state)
{
    /* jansson keeps the C library's memory: 2.14 loses characters without a word where its buffer cannot grow (lex_save looks at
     * no result), so that what it reads then is a matter of chance. */
    static const char *const PATHS[] = { "weights/small.gguf", "weights/small.onnx", "weights/ct2", "weights/sharded", "llama-tiny" };
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++)
        print_message("%s: %d calls made to fail\n", PATHS[i], torture(open_and_close, (void *)data_path(PATHS[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_small), cmocka_unit_test(test_real), cmocka_unit_test(test_torture) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
