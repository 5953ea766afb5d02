/* Files of data/ that are built into the program. */
#ifndef APP_DATA_H
#define APP_DATA_H
#include <stddef.h>
extern const char adages_txt[], adages_base[], question_webm[];
extern const size_t adages_txt_size, adages_base_size, question_webm_size;

/* app/web: the ball's own view. tools/pack.c makes the table. */
struct app_file {
    const char *name, *data;
    size_t size;
    const char *etag;
};
extern const struct app_file app_web[]; /* the last one has no name */
#define PACKED const struct app_file app_web[]

#endif
