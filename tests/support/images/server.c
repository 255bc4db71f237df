/* A static HTTP server for tests and benchmarks: answers every request with 200 and its own pid, one thread, poll().
   SERVER_DELAY_MS waits before it binds, DEAF as long as the file of that name exists; SERVER_MODE=hang accepts and never answers; deaf never binds;
   stubborn ignores SIGTERM; fork leaves a grandchild in a session of its own, its pid in $TMPDIR/grandchild. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(int number) { (void)number; _exit(0); }

static void leave_grandchild(void) {
    if (fork() == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        char path[4096];
        snprintf(path, sizeof path, "%s/grandchild", getenv("TMPDIR"));
        FILE *file = fopen(path, "w");
        fprintf(file, "%d", getpid());
        fclose(file);
        signal(SIGTERM, SIG_IGN);
        for (;;) pause();
    }
}

int main(void) {
    const char *mode = getenv("SERVER_MODE") ? getenv("SERVER_MODE") : "";
    const char *delay = getenv("SERVER_DELAY_MS");
    signal(SIGTERM, strcmp(mode, "stubborn") ? leave : SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (delay) usleep(1000 * atoi(delay));
    if (getenv("DEAF")) while (access(getenv("DEAF"), F_OK) == 0) usleep(1000);
    if (!strcmp(mode, "fork")) leave_grandchild();
    if (!strcmp(mode, "deaf")) for (;;) pause();

    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT")))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) { perror("bind"); return 1; }

    static struct pollfd fds[1024];
    int count = 1;
    fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    while (poll(fds, count, -1) >= 0) {
        for (int i = count - 1; i > 0; i--) {
            if (!fds[i].revents) continue;
            char in[8192], out[256], body[32];
            ssize_t got = read(fds[i].fd, in, sizeof in);
            if (got <= 0) { close(fds[i].fd); fds[i] = fds[--count]; continue; }
            if (!strcmp(mode, "hang")) continue;
            int length = snprintf(body, sizeof body, "%d\n", getpid());
            length = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", length, body);
            if (write(fds[i].fd, out, length) < 0) continue;
        }
        if (fds[0].revents && count < 1024) fds[count++] = (struct pollfd){.fd = accept(listener, 0, 0), .events = POLLIN};
    }
    return 1;
}
