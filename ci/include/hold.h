/* How test programs stay until the test has done with them. */
#ifndef HOLD_H
#define HOLD_H

#include <unistd.h>

/* Waits, asleep, until a file is there. */
static void hold(const char *file)
{
    while (access(file, F_OK) != 0)
        usleep(10000);
}

#endif
