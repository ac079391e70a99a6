/* SPDX-FileCopyrightText: the covirt authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inside a virtual machine: one child that always wants its processor, and small synchronous writes to a disk, each told
 * with the microseconds it took. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 4096, PAUSE_NS = 20000000 };

static int64_t now_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

int main(int count, char **arguments)
{
    const struct timespec pause = {0, PAUSE_NS};
    void *block;
    int disk;

    if (count != 2 || posix_memalign(&block, BLOCK, BLOCK) != 0)
        return 2;
    disk = open(arguments[1], O_WRONLY | O_DIRECT | O_DSYNC);
    if (disk < 0) {
        perror(arguments[1]);
        return 1;
    }
    if (fork() == 0) {
        nice(10); /* the writer goes first, so that what is measured is the disk */
        for (;;)
            ;
    }
    puts("PROBING");
    for (unsigned number = 0;; number++) {
        off_t place = (off_t)(number * 2654435761u % BLOCKS) * BLOCK;
        int64_t begin = now_us();
        if (pwrite(disk, block, BLOCK, place) != BLOCK) {
            perror("write");
            return 1;
        }
        printf("took %lld us\n", (long long)(now_us() - begin));
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
}
