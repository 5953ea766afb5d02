/* Handlers of files and sound. */
#include "lab.h"
#include <string.h>

m8_status file_echo(m8_call *c, m8_error *err)
{
    const char *path = m8_in_file(c, 0);
    return path ? m8_out_file(c, 0, path) : m8_out_null(c, 0);
}

m8_status tone(m8_call *c, m8_error *err)
{
    struct lab *lab = m8_call_user(c);
    m8_status st = lab_tones(lab, err);
    for (int i = 0; i < 4 && !st; i++) {
        st = m8_out_chunk(c, 0, lab->tones[i].data, lab->tones[i].len);
        if (!st) st = m8_yield(c);
        if (!st) st = nap(c, 0.05);
    }
    return st;
}

static m8_status picture(m8_call *c, const m8_buf *png, const char *caption)
{
    return m8_out_bytes_add(c, 0, "img.png", caption, png->data, png->len);
}

m8_status gallery_stream(m8_call *c, m8_error *err)
{
    const struct lab *lab = m8_call_user(c);
    m8_status st = picture(c, &lab->red, "one");
    if (!st) st = m8_yield(c);
    if (!st) st = nap(c, 0.2);
    if (!st) st = m8_out_clear_files(c, 0);
    if (!st) st = picture(c, &lab->red, "one more");
    if (!st) st = picture(c, &lab->blue, "two");
    if (!st) st = m8_yield(c);
    if (!st) st = nap(c, 0.2);
    if (!st) st = m8_out_clear_files(c, 0);
    if (!st) st = picture(c, &lab->blue, "two");
    return st ? st : m8_yield(c);
}

m8_status draw(m8_call *c, m8_error *err)
{
    const struct lab *lab = m8_call_user(c);
    m8_status st = picture(c, &lab->red, NULL);
    return st ? st : picture(c, &lab->blue, NULL);
}

/* Streamed input: called for each chunk; the State is what it remembers. */
m8_status mic(m8_call *c, m8_error *err)
{
    double n = m8_in_number(c, 1) + 1;
    m8_status st = m8_out_number(c, 0, n);
    return st ? st : m8_out_printf(c, 1, "chunk %.0f", n);
}
