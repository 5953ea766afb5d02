/* Addresses: how many connections each has, which are loopback, which are believed proxies. */
#include "server.h"
#include <arpa/inet.h>
#include <string.h>

enum { N_BUCKETS = 1024 };

struct m8__address {
    struct m8__address *next;
    struct in6_addr key;
    int n;
};

bool m8__address_is_loopback(const struct in6_addr *a)
{
    return (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127) || IN6_IS_ADDR_LOOPBACK(a);
}

bool m8__address_parse(const char *s, size_t n, struct in6_addr *out)
{
    char text[INET6_ADDRSTRLEN];
    if (n >= 2 && *s == '[' && s[n - 1] == ']') s++, n -= 2;
    if (n >= sizeof text) return false;
    memcpy(text, s, n);
    text[n] = 0;
    struct in_addr four;
    if (inet_pton(AF_INET, text, &four) == 1) {
        *out = (struct in6_addr){ .s6_addr = { [10] = 0xFF, [11] = 0xFF } };
        memcpy(out->s6_addr + 12, &four, 4);
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

bool m8__address_is_proxy(const m8_http *h, const struct in6_addr *a)
{
    for (size_t i = 0; i < h->n_proxies; i++)
        if (!memcmp(&h->proxies[i], a, sizeof *a)) return true;
    return false;
}

/* One client may have a whole /64 of IPv6. */
static struct in6_addr key_of(const struct in6_addr *a)
{
    struct in6_addr key = *a;
    if (!IN6_IS_ADDR_V4MAPPED(a)) memset(key.s6_addr + 8, 0, 8);
    return key;
}

static struct m8__address **find(m8_http *h, const struct in6_addr *key)
{
    uint64_t a, b;
    memcpy(&a, key->s6_addr, 8);
    memcpy(&b, key->s6_addr + 8, 8);
    uint64_t hash = (a ^ b * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
    struct m8__address **at = &h->addresses[hash >> 54];
    while (*at && memcmp(&(*at)->key, key, sizeof *key)) at = &(*at)->next;
    return at;
}

bool m8__address_take(m8_http *h, struct conn *c)
{
    if (m8__address_is_loopback(&c->address) || m8__address_is_proxy(h, &c->address)) return true;
    if (!h->addresses) h->addresses = m8_calloc(N_BUCKETS, sizeof *h->addresses);
    if (!h->addresses) return false;
    struct in6_addr key = key_of(&c->address);
    struct m8__address **at = find(h, &key);
    if (!*at) {
        *at = m8_calloc(1, sizeof **at);
        if (!*at) return false;
        (*at)->key = key;
    }
    c->counted = true;
    return ++(*at)->n <= h->o.max_per_address;
}

void m8__address_drop(m8_http *h, struct conn *c)
{
    if (!c->counted) return;
    struct in6_addr key = key_of(&c->address);
    struct m8__address **at = find(h, &key), *gone = *at;
    if (--gone->n) return;
    *at = gone->next;
    m8_free(gone);
}

void m8__addresses_free(m8_http *h)
{
    m8_free(h->addresses); /* every connection has taken its own out */
    h->addresses = NULL;
}
