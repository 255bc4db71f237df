/* What a container sees and does, one word at a time: `probe WORD [ARGUMENT]`, for images made FROM scratch. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static int show(const char *path) {
    char data[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) { printf("%s: %s\n", path, strerror(errno)); return 1; }
    for (ssize_t got; (got = read(fd, data, sizeof data)) > 0;) fwrite(data, 1, got, stdout);
    return 0;
}

static int get(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char data[512];
    const char *request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    for (int attempt = 0; attempt < 100; attempt++, usleep(20000)) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            if (write(fd, request, strlen(request)) < 0) return 1;
            ssize_t got = read(fd, data, sizeof data);
            printf("%.12s\n", got > 12 ? data : "nothing");
            return 0;
        }
        close(fd);
    }
    printf("refused\n");
    return 1;
}

int main(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "", *argument = argc > 2 ? argv[2] : "";
    setvbuf(stdout, 0, _IOLBF, 0);
    if (!strcmp(word, "fail")) { fprintf(stderr, "no luck\n"); return 3; }
    if (!strcmp(word, "talk")) { printf("one\ntwo\nhalf"); return 0; }
    if (!strcmp(word, "greet")) { printf("%s\n%s\n", getenv("GREETING") ? getenv("GREETING") : "", getenv("PORT") ? getenv("PORT") : ""); return 0; }
    if (!strcmp(word, "env")) { for (char **each = environ; *each; each++) puts(*each); return 0; }
    if (!strcmp(word, "args")) { for (int i = 2; i < argc; i++) puts(argv[i]); return 0; }
    if (!strcmp(word, "id")) { printf("%d %d\n", getuid(), getgid()); return 0; }
    if (!strcmp(word, "cwd")) { char path[4096]; puts(getcwd(path, sizeof path)); return 0; }
    if (!strcmp(word, "stdin")) { char byte; printf("%zd %d\n", read(0, &byte, 1), isatty(0) || isatty(1) || isatty(2)); return 0; }
    if (!strcmp(word, "fds")) {
        DIR *folder = opendir("/proc/self/fd");
        for (struct dirent *each; (each = readdir(folder));)
            if (each->d_name[0] != '.' && atoi(each->d_name) != dirfd(folder)) printf("%s ", each->d_name);
        puts("");
        return 0;
    }
    if (!strcmp(word, "cat")) return show(argument);
    if (!strcmp(word, "write")) {
        int fd = open(argument, O_WRONLY | O_CREAT | O_EXCL, 0644);
        printf("%s\n", fd < 0 ? strerror(errno) : "written");
        return fd < 0;
    }
    if (!strcmp(word, "overwrite")) { int fd = open(argument, O_WRONLY); return fd < 0 || write(fd, "bye\n", 4) < 0; }
    if (!strcmp(word, "stat")) { struct stat found; if (stat(argument, &found)) { puts("missing"); return 1; } printf("%o\n", found.st_mode & 07777); return 0; }
    if (!strcmp(word, "get")) return get(argument);
    if (!strcmp(word, "eat")) { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }
    if (!strcmp(word, "sleep")) { for (;;) pause(); }
    if (!strcmp(word, "quiet")) { close(0); close(1); close(2); sleep(atoi(argument)); return 7; }
    fprintf(stderr, "probe: unknown word\n");
    return 64;
}
