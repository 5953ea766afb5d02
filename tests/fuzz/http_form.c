/* The small readers, one by the first byte: form, cookie, percent, path, host, range, date, UTF-8. */
#include "form.h"
#include <m8/http.h>
#include <stdlib.h>
#include <string.h>

static void form(char *s, size_t n)
{
    struct m8__pair p;
    size_t all = 0;
    for (size_t at = 0; m8__form_next(s, n, &at, &p);) {
        all += p.n_name + p.n_value;
        if (p.name < s || p.value + p.n_value > s + n || memchr(p.name, '&', p.n_name) || memchr(p.value, '&', p.n_value)) abort();
    }
    if (all > n) abort();
    m8_free(m8_form_field(s, n, "a"));
}

static void percent(char *s, size_t n)
{
    m8_buf b = { 0 };
    m8_percent_encode(&b, s, "/"); /* and back */
    ssize_t k = m8_percent_decode(b.data ? b.data : s, b.len, false);
    if (k != (ssize_t)strlen(s) || (k && memcmp(b.data, s, (size_t)k))) abort();
    m8_buf_finish(&b);
    k = m8_percent_decode(s, n, true);
    if (k > (ssize_t)n || (k >= 0 && memchr(s, 0, (size_t)k))) abort();
}

static void path(const char *s, size_t n)
{
    char *p = malloc(n + 2);
    p[0] = '/';
    memcpy(p + 1, s, n + 1);
    size_t len = m8__path_normal(p, n + 1);
    if (!len || len > n + 1 || strlen(p) > len || p[0] != '/' || strstr(p, "//") || strstr(p, "/../") || strstr(p, "/./")) abort();
    size_t again = m8__path_normal(p, len); /* normal it stays */
    if (again != len) abort();
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n) return 0;
    char *s = malloc(n);
    memcpy(s, data + 1, n - 1);
    s[n - 1] = 0;
    size_t len = n - 1, n_host = 0, n_cookie = 0;
    uint64_t first, last, size = len < 9 ? len : 1000;
    int port = 0;
    switch (data[0] % 8) {
    case 0: form(s, len); break;
    case 1: {
        const char *c = m8__cookie_find(s, "a", &n_cookie);
        if (c && (c < s || c + n_cookie > s + strlen(s) || memchr(c, ';', n_cookie))) abort();
        break;
    }
    case 2: percent(s, len); break;
    case 3: path(s, len); break;
    case 4:
        if (m8__host_read(s, len, &n_host, &port) != M8__HOST_BAD && (!n_host || n_host > len || port < 0 || port > 65535 || strpbrk(s, "/@#\\ \r\n"))) abort();
        break;
    case 5:
        if (m8__range_read(s, size, &first, &last) == 1 && (first > last || last >= size)) abort();
        break;
    case 6: m8__date_read(s); break;
    default: {
        size_t before = strlen(s);
        m8__make_utf8(s);
        if (strlen(s) != before) abort();
    }
    }
    free(s);
    return 0;
}
