/* Fields: what travels between two processes of this machine, in its own byte order. */
#include <m8/base.h>
#include <string.h>

#define NO_TEXT UINT32_MAX

void m8_put_u32(m8_buf *b, uint32_t x) { m8_buf_add(b, &x, sizeof x); }
void m8_put_u64(m8_buf *b, uint64_t x) { m8_buf_add(b, &x, sizeof x); }
void m8_put_f32(m8_buf *b, float x) { m8_buf_add(b, &x, sizeof x); }
void m8_put_f64(m8_buf *b, double x) { m8_buf_add(b, &x, sizeof x); }

void m8_put_bytes(m8_buf *b, const void *data, size_t n)
{
    if (n >= NO_TEXT && !b->status) b->status = M8_E_LIMIT;
    m8_put_u32(b, (uint32_t)n);
    m8_buf_add(b, data, n);
}

void m8_put_text(m8_buf *b, const char *s)
{
    if (s) m8_put_bytes(b, s, strlen(s) + 1);
    else m8_put_u32(b, NO_TEXT);
}

static void take(m8_fields *f, void *to, size_t n)
{
    if (f->bad || f->left < n) {
        f->bad = true;
        memset(to, 0, n);
        return;
    }
    memcpy(to, f->at, n);
    f->at += n;
    f->left -= n;
}

uint32_t m8_get_u32(m8_fields *f)
{
    uint32_t x;
    take(f, &x, sizeof x);
    return x;
}

uint64_t m8_get_u64(m8_fields *f)
{
    uint64_t x;
    take(f, &x, sizeof x);
    return x;
}

float m8_get_f32(m8_fields *f)
{
    float x;
    take(f, &x, sizeof x);
    return x;
}

double m8_get_f64(m8_fields *f)
{
    double x;
    take(f, &x, sizeof x);
    return x;
}

static const void *bytes(m8_fields *f, size_t n)
{
    if (f->bad || f->left < n) {
        f->bad = true;
        return NULL;
    }
    const void *at = f->at;
    if (n) f->at += n;
    f->left -= n;
    return at;
}

const void *m8_get_bytes(m8_fields *f, size_t *n)
{
    *n = m8_get_u32(f);
    const void *at = bytes(f, *n);
    if (!at) *n = 0;
    return at;
}

const char *m8_get_text(m8_fields *f)
{
    uint32_t n = m8_get_u32(f);
    if (f->bad || n == NO_TEXT) return NULL;
    const char *s = bytes(f, n);
    if (s && n && strnlen(s, n) == n - 1) return s;
    f->bad = true;
    return NULL;
}

size_t m8_get_count(m8_fields *f, size_t least)
{
    size_t n = m8_get_u32(f);
    if (!f->bad && n <= f->left / (least ? least : 1)) return n;
    f->bad = true;
    return 0;
}
