/* Between docs.c and its parts. */
#ifndef APP_DOCS_H
#define APP_DOCS_H
void docs_man(void);
void docs_bash(void);
void docs_zsh(void);
void docs_fish(void);
#endif
