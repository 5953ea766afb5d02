/* Between main.c and signals.c. */
#ifndef APP_MAIN_H
#define APP_MAIN_H
void signals_init(void);
void signals_end(void); /* after a verb that was stopped in order: die by that signal after all, for the shell to see */
#endif
