/* Files of data/ that are built into the program. */
#ifndef APP_DATA_H
#define APP_DATA_H
#include <stddef.h>
extern const char adages_txt[], adages_base[], question_webm[];
extern const size_t adages_txt_size, adages_base_size, question_webm_size;
#endif
