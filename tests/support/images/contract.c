/* A static HTTP server that tells what Knative's runtime contract is about: what it finds around itself, and what it was
   sent. /head /env /args /id /cwd /stdin /cat/PATH /stat/PATH /write/PATH /mounts; /late/MS answers later, /slow/MS begins
   at once and ends later; /sick makes /live fail; anything else: $TEXT. One process per connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;
static int *sick, argument_count;
static char **arguments, body[262144];
static char stdin_state[16] = "open";

static void say(const char *text) { strncat(body, text, sizeof body - strlen(body) - 2); strcat(body, "\n"); }
static void leave(int number) { (void)number; _exit(0); }

static void cat(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) { say(strerror(errno)); return; }
    body[fread(body, 1, sizeof body - 1, file)] = 0;
    fclose(file);
}

static void answer(int fd, int status) {
    char head[256];
    int length = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", status, strlen(body));
    if (write(fd, head, length) < 0 || write(fd, body, strlen(body)) < 0) _exit(0);
}

static void begin_and_end_later(int fd, int ms) {
    const char *head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun\n\r\n", *end = "4\r\nend\n\r\n0\r\n\r\n";
    if (write(fd, head, strlen(head)) < 0) _exit(0);
    usleep(1000 * ms);
    if (write(fd, end, strlen(end)) < 0) _exit(0);
}

static void handle(int fd, char *request) {
    char path[4096] = "", line[64];
    struct stat found;
    sscanf(request, "%*s %4095s", path);
    char *rest = strchr(path + 1, '/');
    body[0] = 0;
    if (!strcmp(path, "/head")) say(request);
    else if (!strcmp(path, "/env")) for (char **each = environ; *each; each++) say(*each);
    else if (!strcmp(path, "/args")) for (int i = 0; i < argument_count; i++) say(arguments[i]);
    else if (!strcmp(path, "/id")) { snprintf(line, sizeof line, "%d %d", getuid(), geteuid()); say(line); }
    else if (!strcmp(path, "/cwd")) say(getcwd(path, sizeof path));
    else if (!strcmp(path, "/stdin")) say(stdin_state);
    else if (!strcmp(path, "/mounts")) cat("/proc/mounts");
    else if (!strncmp(path, "/cat/", 5)) cat(rest);
    else if (!strncmp(path, "/stat/", 6)) {
        if (stat(rest, &found)) say(strerror(errno));
        else { snprintf(line, sizeof line, "%s %o", S_ISDIR(found.st_mode) ? "dir" : "file", found.st_mode & 07777); say(line); }
    }
    else if (!strncmp(path, "/write/", 7)) { int out = open(rest, O_WRONLY | O_CREAT, 0644); say(out < 0 ? strerror(errno) : "written"); close(out); }
    else if (!strncmp(path, "/late/", 6)) { usleep(1000 * atoi(path + 6)); say("late"); }
    else if (!strncmp(path, "/slow/", 6)) { begin_and_end_later(fd, atoi(path + 6)); return; }
    else if (!strcmp(path, "/sick")) { *sick = 1; say("sick"); }
    else if (!strcmp(path, "/live") && *sick) { say("sick"); answer(fd, 500); return; }
    else say(getenv("TEXT") ? getenv("TEXT") : "");
    answer(fd, 200);
}

int main(int argc, char **argv) {
    char request[65536], byte;
    argument_count = argc, arguments = argv;
    signal(SIGTERM, leave);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sick = mmap(0, sizeof *sick, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (read(0, &byte, 1) == 0) strcpy(stdin_state, "end");
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT")))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) { perror("bind"); return 1; }
    for (;;) {
        int fd = accept(listener, 0, 0);
        if (fd < 0 || fork() != 0) { close(fd); continue; }
        close(listener);
        for (size_t length = 0; ; ) { /* requests without bodies, one after the other */
            ssize_t got = read(fd, request + length, sizeof request - length - 1);
            if (got <= 0) _exit(0);
            request[length += got] = 0;
            if (!strstr(request, "\r\n\r\n")) continue;
            handle(fd, request);
            length = 0;
        }
    }
}
