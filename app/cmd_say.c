/* magic8 say: speak a text. */
#include "app.h"
#include "load.h"
#include "question.h"
#include "speech_file.h"
#include "voice.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static m8_status get_voice(void *user, m8_model **tts, m8_error *err)
{
    *tts = user;
    return M8_OK;
}

int cmd_say(const struct options *o)
{
    m8_error err = {0}, why = {0};
    struct speech_file file = {0};
    struct voice *v = NULL;
    struct voice_times times = {0};
    m8_model *tts = NULL;
    char *text = NULL;
    if (!o->output && isatty(1)) return fail_usage("where to? name a file with -o, or - for standard output");
    m8_status st = speech_file_init(&file, o->output ? o->output : "-", &err);
    if (st) return st == M8_E_ARG ? fail_usage("%s", m8_error_text(&err)) : fail(&err);
    st = read_text(&text, o->args[0], &why);
    if (!st) st = load_model(&tts, ROLE_TTS, o, &why);
    double start = m8_now_s();
    struct voice_opts opts = { .model = get_voice, .user = tts, .speak = voice_speak_opts(o),
                               .encode = { .format = file.format, .bit_rate = o->bit_rate } };
    opts.speak.temperature = o->temperature == 0 ? -1 : o->temperature > 0 ? (float)o->temperature : 0;
    opts.speak.max_new_tokens = o->max_tokens;
    if (!st) st = voice_start(&v, &opts, speech_file_sink(&file), &why);
    if (!st) {
        st = voice_say(v, text, strlen(text));
        m8_status spoken = voice_end(v, st != M8_OK, &times, &why);
        if (!st) st = spoken;
    }
    st = speech_file_end(&file, st, &err);
    if (st) m8_fail(&err, st, "%s", m8_error_text(&why));
    if (!st && o->json) {
        fprintf(file.path ? stdout : stderr, "{\"seconds\": %.3f, \"bytes\": %zu, \"first_byte_s\": %.4f, \"last_byte_s\": %.4f}\n",
                times.audio_s, times.bytes, times.first_byte - start, times.last_byte - start);
    }
    m8_free(text);
    m8_close(tts);
    return st ? fail(&err) : 0;
}
