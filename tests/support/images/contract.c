/* A static HTTP server that tells what Knative's runtime contract is about: what it finds around itself, and what it was
   sent. /head /env /args /id /cwd /stdin /cat/PATH /stat/PATH /link/PATH /open/PATH (as its mode for others allows) /write/PATH
   /mounts; /late/MS answers later, /slow/MS begins at once and ends later; /bloat/MB takes so much memory; /via/PORT asks a
   neighbor; /sick makes /live fail; anything else: $TEXT. With the argument `probe` it asks itself for /live and exits. One
   process per connection. */
#define _GNU_SOURCE
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

static void try_open(const char *path) {
    struct stat found;
    int readable = stat(path, &found) ? -1 : open(path, found.st_mode & S_IROTH ? O_RDONLY : O_PATH);
    int writable = readable < 0 || S_ISDIR(found.st_mode) ? readable : open(path, found.st_mode & S_IWOTH ? O_WRONLY | O_APPEND : O_PATH);
    say(readable < 0 || writable < 0 ? strerror(errno) : "fine");
}

static int ask(int port, const char *path) { /* the status; the body is what follows the head */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[4096] = "", request[256];
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) || write(fd, request, strlen(request)) < 0) { say(strerror(errno)); return 0; }
    if (recv(fd, answer, sizeof answer - 1, 0) > 0) sscanf(answer, "%*s %d", &status);
    while (!strstr(answer, "\r\n\r\n") || !strstr(answer, "\r\n\r\n")[4]) {
        size_t length = strlen(answer);
        if (recv(fd, answer + length, sizeof answer - 1 - length, 0) <= 0) break;
    }
    close(fd);
    if (strstr(answer, "\r\n\r\n")) strcat(body, strstr(answer, "\r\n\r\n") + 4);
    return status;
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
    else if (!strncmp(path, "/link/", 6)) { ssize_t length = readlink(rest, body, sizeof body - 2); body[length < 0 ? 0 : length] = 0; if (length < 0) say(strerror(errno)); }
    else if (!strncmp(path, "/open/", 6)) try_open(rest);
    else if (!strncmp(path, "/via/", 5)) ask(atoi(path + 5), "/");
    else if (!strncmp(path, "/bloat/", 7)) { size_t size = (size_t)atoi(path + 7) << 20; volatile char *room = malloc(size); for (size_t at = 0; room && at < size; at += 4096) room[at] = 1; say(room ? "eaten" : "no room"); }
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
    if (argc > 1 && !strcmp(argv[1], "probe")) return ask(atoi(getenv("PORT")), "/live") != 200;
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
