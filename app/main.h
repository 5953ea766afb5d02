/* Between main.c and signals.c. */
#ifndef APP_MAIN_H
#define APP_MAIN_H
void signals_init(void);
#endif
