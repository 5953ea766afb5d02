/* From frames to chunks of sound.
 *
 * The codec is a stream (dac.h): what is final comes out of it, 10 frames behind the newest, the same samples however they are cut. The
 * first chunk waits until it lasts as long as the next one needs to be made on a machine that keeps up, longer in company and where columns
 * come hardly faster than they are played; what follows is handed out as it comes.
 *
 * The original's streamer (parler_tts, streamer.py) decodes everything so far after every play_steps columns and holds back `stride` samples;
 * so it is wrong around each seam, by whatever lies within the codec's reach. With play_steps we cut where it cuts, and the sound is that
 * of the whole. What it would really have handed out is there too, for `verify` alone. */
#include "parler_speech.h"
#include <string.h>

enum { FIRST_SOUND = 6 /* frames, 70 ms, for each who speaks */, MOST_LIVE = 3 };

static const double BRISK = 0.72; /* time for a column, in that of its sound, that leaves enough for the codec beside it */

m8_status m8__sound_open(struct parler_sound *s, const struct parler *m, float play_steps_in_s, m8_pcm_sink out, m8_error *err)
{
    int hop = m8__dac_hop(m->dac), frame_rate = m->rate / hop; /* as a whole number, as there: 86 */
    *s = (struct parler_sound){ .m = m, .out = out, .play_steps = (int)((float)frame_rate * play_steps_in_s) };
    if (s->play_steps && s->play_steps < 2 * m->n_q - 1) s->play_steps = 2 * m->n_q - 1; /* before, the original has no whole frame */
    s->stride = hop * (s->play_steps - m->n_q) / 6;
    s->next = s->play_steps;
    s->opened_s = m8_now_s();
    return m8__dac_stream_new(&s->stream, m->dac, err);
}

void m8__sound_close(struct parler_sound *s)
{
    m8__dac_stream_free(s->stream);
    m8_buf_finish(&s->held);
    *s = (struct parler_sound){0};
}

m8_status m8__sound_make(struct parler_sound *s, nn_run *r, const int *codes, int n, bool last, m8_error *err)
{
    nn_reset(r);
    nn_t x = m8__dac_push(r, s->stream, codes, n, last, NULL, NULL);              /* [samples, 1] */
    float *to = r->status ? NULL : m8_buf_room(&s->held, (size_t)x.n * sizeof *to);
    for (int i = 0; to && i < x.n; i++) {
        float y = x.d[(ptrdiff_t)i * x.ld];
        to[i] = y >= -1 ? y <= 1 ? y : 1 : y < -1 ? -1 : 0; /* NaN, of a damaged model, is silence */
    }
    m8_status st = r->status ? r->status : s->held.status;
    return st ? m8_fail(err, st, "speaking: %s", m8_status_text(st)) : M8_OK;
}

/* All that is held up to sample `end` of the stretch. */
static m8_status hand_out(struct parler_sound *s, size_t end)
{
    size_t n = end - s->n_handed;
    m8_status st = n ? s->out.push(s->out.user, (const float *)(const void *)s->held.data, n) : M8_OK;
    if (st) return st;
    s->n_handed = end;
    s->held.len -= n * sizeof(float);
    if (s->held.len) memmove(s->held.data, s->held.data + n * sizeof(float), s->held.len);
    return M8_OK;
}

m8_status m8__sound_hand_out(struct parler_sound *s, const struct progress *at, bool last)
{
    size_t hop = (size_t)m8__dac_hop(s->m->dac);
    bool brisk = m8_now_s() - s->opened_s < BRISK * at->n_columns * (double)hop / s->m->rate;
    size_t first = FIRST_SOUND * (size_t)(brisk && at->n_live < MOST_LIVE ? at->n_live : MOST_LIVE), ready = s->n_handed + s->held.len / sizeof(float);
    m8_status st = M8_OK;
    while (s->play_steps && s->next <= at->n_columns && !st) {
        int whole = s->next - s->m->n_q, frames = whole < at->n_frames ? whole : at->n_frames; /* specials stand at the end alone */
        size_t end = (size_t)frames * hop < (size_t)s->stride ? 0 : (size_t)frames * hop - (size_t)s->stride;
        if (end > ready) break;
        if (end > s->n_handed) st = hand_out(s, end);
        s->next += s->play_steps;
    }
    if (!s->play_steps && (s->n_handed || ready >= first * hop)) st = hand_out(s, ready);
    return !st && last ? hand_out(s, ready) : st;
}

/* ---- the original's own chunks */

m8_status m8__parler_streamed(nn_run *r, const struct parler *m, const int *raw, int n, int play_steps, int stride, m8_pcm_sink chunk, m8_error *err)
{
    int hop = m8__dac_hop(m->dac), handed = 0;
    int *codes = m8_malloc((size_t)n * (size_t)m->n_q * sizeof *codes);
    m8_status st = codes ? M8_OK : m8_fail(err, M8_E_NOMEM, "frames of codes");
    for (int columns = 1; columns <= n && !st; columns++) {
        if (columns % play_steps && columns < n) continue;
        struct parler_codes so_far = { .m = m, .raw = (int *)raw, .n = columns, .most = columns, .done = true };
        struct dac_stream *whole = NULL;
        nn_reset(r);
        int n_frames = m8__codes_frames(&so_far, codes, n), total = n_frames * hop;
        st = m8__dac_stream_new(&whole, m->dac, err);
        nn_t x = st ? (nn_t){0} : nn_copy(r, m8__dac_push(r, whole, codes, n_frames, true, NULL, NULL));
        if (!st && r->status) st = m8_fail(err, r->status, "decoding %d frames", n_frames);
        m8__dac_stream_free(whole);
        if (!st && columns % play_steps == 0) {
            if (total - stride > handed) st = chunk.push(chunk.user, x.d + handed, (size_t)(total - stride - handed));
            handed = total - stride > 0 ? total - stride : 0;
        }
        if (!st && columns == n && total > handed) st = chunk.push(chunk.user, x.d + handed, (size_t)(total - handed));
    }
    m8_free(codes);
    return st;
}
